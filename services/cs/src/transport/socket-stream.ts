// A TCP or TLS socket as a byte stream. Hides how a connection ends without losing the last packet: a socket that is closed
// while the client still sends is reset by the kernel, and a DISCONNECT that it has not read is gone. So after `end` the
// socket goes on reading, into nothing, until the client closes or the time is up.

import type { Socket } from 'node:net';
import {
  lingerMs,
  nobody,
  type ByteStream,
  type StreamOwner,
  type StreamPeer,
} from './transport.ts';

export class SocketStream implements ByteStream {
  readonly peer: StreamPeer;
  owner: StreamOwner = nobody;
  readonly #socket: Socket;
  #error: Error | undefined = undefined;
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
    if (!this.#socket.writable) return;
    this.#socket.write(bytes, this.#written);
    // Bytes that the kernel took at once never count.
    if (this.#socket.writableLength > 0) this.#above = true;
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
