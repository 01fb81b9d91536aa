import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '@lmqtt/common/clock';
import type { ConnectionOptions } from '../src/rocketmq/remoting/connection-options.ts';
import type { RemotingEvents } from '../src/rocketmq/remoting/events.ts';

export interface Asked {
  readonly code: number;
  readonly opaque: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The write of the client's that it came with is the same for all of one chunk. */
  readonly socket: Socket;
}

/** A frame as the broker writes it. */
export function frame(header: string, body: Buffer = Buffer.alloc(0), kind: number = 0): Buffer {
  const text = Buffer.from(header);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(4 + text.length + body.length, 0);
  head.writeUInt32BE(kind * 2 ** 24 + text.length, 4);
  return Buffer.concat([head, text, body]);
}

export function answerTo(
  asked: Asked,
  code: number,
  fields: Readonly<Record<string, string>> = {},
  rest: { readonly remark?: string; readonly body?: Buffer } = {},
): Buffer {
  const { remark, body } = rest;
  const { opaque } = asked;
  const header = { code, extFields: fields, flag: 1, language: 'JAVA', opaque, remark, version: 9 };
  return frame(JSON.stringify(header), body);
}

export const stored = { queueId: '3', queueOffset: '7', msgId: 'id', transactionId: 'tx' };

/** A TCP server that cuts frames and keeps what it was asked; the test says what it answers. */
export class RemotingPeer {
  readonly asked: Asked[] = [];
  readonly sockets: Socket[] = [];
  /** Bytes of each chunk received. */
  readonly chunks: number[] = [];
  onAsked: (asked: Asked) => void = () => {};
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.sockets.push(socket);
      let read: Buffer = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        this.chunks.push(chunk.length);
        read = Buffer.concat([read, chunk]);
        while (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) {
          const end = 4 + read.readUInt32BE(0);
          this.#take(read.subarray(4, end), socket);
          read = read.subarray(end);
        }
      });
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async listen(port: number = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(rest: Buffer, socket: Socket): void {
    const headerEnd = 4 + rest.readUIntBE(1, 3);
    const header: unknown = JSON.parse(rest.toString('utf8', 4, headerEnd));
    const { code, opaque, extFields } = header as {
      code: number;
      opaque: number;
      extFields: Record<string, string>;
    };
    const body = rest.subarray(headerEnd);
    const asked = { code, opaque, fields: extFields, body, socket };
    this.asked.push(asked);
    this.onAsked(asked);
  }
}

/** Events as lines, without the address. */
export class EventLines implements RemotingEvents {
  readonly lines: string[] = [];
  readonly writes: number[] = [];
  #listeners: (() => void)[] = [];

  connected(): void {
    this.#add('connected');
  }

  lost(_address: string, reason: string): void {
    this.#add(`lost: ${reason}`);
  }

  notConnected(): void {
    this.#add('not connected');
  }

  garbage(_address: string, reason: string): void {
    this.#add(`garbage: ${reason}`);
  }

  timedOut(_address: string, request: string, written: boolean): void {
    this.#add(`timed out: ${request} ${written}`);
  }

  answeredLate(): void {
    this.#add('late');
  }

  tooManyOutstanding(): void {
    this.#add('too many');
  }

  written(requests: number): void {
    this.writes.push(requests);
  }

  received(): void {}

  /** So many lines begin with that. */
  async until(start: string, count: number = 1): Promise<void> {
    while (this.lines.filter((line) => line.startsWith(start)).length < count) {
      await new Promise<void>((resolve) => {
        this.#listeners.push(resolve);
      });
    }
  }

  #add(line: string): void {
    this.lines.push(line);
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

export function optionsWith(
  events: RemotingEvents,
  more: Partial<ConnectionOptions> = {},
): ConnectionOptions {
  return { clock: systemClock, events, requestTimeoutMs: 2000, ...more };
}
