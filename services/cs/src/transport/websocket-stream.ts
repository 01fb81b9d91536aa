// A WebSocket as a byte stream: what is written at once is one binary frame, and what comes is handed on message by message.

import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import {
  lingerMs,
  nobody,
  type ByteStream,
  type StreamOwner,
  type StreamPeer,
} from './transport.ts';
import { UnfinishedBytes } from './unfinished-bytes.ts';

/** RFC 6455, section 7.4.1. */
const normalClosure = 1000;
const unsupportedKind = 1003;
const tooBig = 1009;
/** Time for the close frame to leave. */
const strangerLingerMs = 250;

export class WebSocketStream implements ByteStream {
  readonly peer: StreamPeer;
  owner: StreamOwner = nobody;
  readonly #webSocket: WebSocket;
  readonly #unfinished: UnfinishedBytes;
  #error: Error | undefined = undefined;
  #wrote = false;
  /** Payload of the last ping; undefined: the ping is answered. */
  #pinged: Buffer | undefined = undefined;
  #above = false;
  /** Bytes that still come are nobody's. */
  #deaf = false;
  #linger: NodeJS.Timeout | undefined = undefined;

  /** Until the client is known, a message of more than `strangerBytesMax` bytes ends the stream. */
  constructor(webSocket: WebSocket, peer: StreamPeer, socket: Duplex, strangerBytesMax: number) {
    this.#webSocket = webSocket;
    this.peer = peer;
    this.#unfinished = new UnfinishedBytes(socket, strangerBytesMax, () => {
      this.#error ??= new Error('a message too large for a client that is not known');
      this.#refuseStranger();
    });
    webSocket.on('message', (message, isBinary) => this.#received(message, isBinary));
    webSocket.on('ping', (said) => this.#pingCame(said));
    webSocket.on('pong', (said) => this.#unfinished.control(said.length));
    webSocket.on('error', (error) => {
      this.#error ??= error;
    });
    webSocket.on('close', () => {
      clearTimeout(this.#linger);
      this.owner.lost(this.#error);
    });
  }

  get bufferedBytes(): number {
    // Before the first write that is the answer to the upgrade, for which no drain would come.
    return this.#wrote ? this.#webSocket.bufferedAmount : 0;
  }

  write(bytes: Uint8Array): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    this.#wrote = true;
    this.#webSocket.send(bytes, { binary: true }, this.#written);
    if (this.#webSocket.bufferedAmount > 0) this.#above = true;
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  end(): void {
    this.#close(normalClosure);
  }

  welcome(): void {
    this.#unfinished.end();
  }

  destroy(): void {
    this.#deaf = true;
    this.#webSocket.terminate();
  }

  #received(message: RawData, isBinary: boolean): void {
    this.#unfinished.finished();
    if (!isBinary) {
      // [MQTT-6.0.0-1] MQTT comes in binary frames
      this.#error ??= new Error('a text frame');
      this.#close(unsupportedKind);
    } else if (Buffer.isBuffer(message) && !this.#deaf) this.owner.received(message);
  }

  /** RFC 6455, section 5.5.3: of several pings only the last needs its pong. */
  #pingCame(said: Buffer): void {
    this.#unfinished.control(said.length);
    if (this.#pinged === undefined) setImmediate(this.#pong);
    this.#pinged = said;
  }

  /** No pong is sent to a client that does not read; the pong leaves when all other bytes have. */
  readonly #pong = (): void => {
    const said = this.#pinged;
    const { readyState, OPEN } = this.#webSocket;
    if (said === undefined || readyState !== OPEN || this.bufferedBytes > 0) return;
    this.#pinged = undefined;
    this.#wrote = true;
    this.#webSocket.pong(said, false, this.#written);
    if (this.#webSocket.bufferedAmount > 0) this.#above = true;
  };

  #close(code: number): void {
    if (this.#linger !== undefined || this.#webSocket.readyState === this.#webSocket.CLOSED) return;
    this.#deaf = true;
    this.#linger = setTimeout(() => this.#webSocket.terminate(), lingerMs).unref();
    this.#webSocket.close(code);
    // The client's own close frame is behind what it sent.
    this.#webSocket.resume();
  }

  /** The rest of the message is not read: it would be kept until it is whole. */
  #refuseStranger(): void {
    this.#deaf = true;
    this.#webSocket.pause();
    this.#webSocket.close(tooBig);
    this.#linger ??= setTimeout(() => this.#webSocket.terminate(), strangerLingerMs).unref();
  }

  readonly #written = (): void => {
    const { readyState, OPEN, bufferedAmount } = this.#webSocket;
    if (!this.#above || bufferedAmount > 0 || readyState !== OPEN) return;
    this.#above = false;
    this.#pong();
    this.owner.drained();
  };
}
