// A TCP or TLS socket as a byte stream. Hides how a connection ends without losing the last packet: a socket that is closed
// while the client still sends is reset by the kernel, and a DISCONNECT that it has not read is gone. So after `end` the
// socket goes on reading, into nothing, until the client closes or the time is up.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  lingerMs,
  nobody,
  type ByteStream,
  type StreamOwner,
  type StreamPeer,
} from './transport.ts';

/** A write of no bytes: its callback tells that those before it have left. */
const nothing: Uint8Array = Buffer.alloc(0);

export class SocketStream implements ByteStream {
  readonly peer: StreamPeer;
  owner: StreamOwner = nobody;
  readonly #socket: Socket;
  #error: Error | undefined = undefined;
  /** TLS never says at once that it has taken a write. */
  readonly #isEncrypted: boolean;
  /** Bytes wait that the kernel did not take at once. */
  #above = false;
  /** Bytes that still come are nobody's. */
  #deaf = false;
  #linger: NodeJS.Timeout | undefined = undefined;

  /** `take` may exchange the socket that is read; it has every chunk handed to the function that it is given. */
  constructor(socket: Socket, peer: StreamPeer, take: typeof readFlowing = readFlowing) {
    this.peer = peer;
    this.#socket = take(socket, (chunk) => {
      if (!this.#deaf) this.owner.received(chunk);
    });
    this.#isEncrypted = this.#socket instanceof TLSSocket;
    this.#listen(this.#socket);
  }

  #listen(socket: Socket): void {
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => {
      clearTimeout(this.#linger);
      this.owner.lost(this.#error);
    });
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    // A callback costs a tick of its own, and the kernel takes nearly every write at once.
    const tells = this.#above || this.#isEncrypted;
    if (tells) socket.write(bytes, this.#written);
    else socket.write(bytes);
    if (this.#above || socket.writableLength === 0) return;
    this.#above = true;
    if (!tells) socket.write(nothing, this.#written);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#linger !== undefined || this.#socket.destroyed) return;
    this.#deaf = true;
    this.#linger = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#socket.end();
    this.#socket.resume();
  }

  /** Bytes are read as they come: the reader of packets limits what is kept. */
  welcome(): void {}

  destroy(): void {
    this.#deaf = true;
    this.#socket.destroy();
  }

  // The socket's own `drain` comes only where more than its high-water mark was waiting.
  readonly #written = (): void => {
    if (!this.#above || this.#socket.writableLength > 0 || this.#socket.destroyed) return;
    this.#above = false;
    this.owner.drained();
  };
}

/** Node's reads as they come: each chunk has memory of its own, so that payloads need no copy. */
function readFlowing(socket: Socket, onBytes: (chunk: Buffer) => void): Socket {
  return socket.on('data', onBytes);
}
