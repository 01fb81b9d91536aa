// Requests of Java nodes to a node in LMQ_CONNECT_NODES, by RocketMQ's remoting: 201 tells of
// messages that were stored, 203 closes a connection. The protocol has no authentication: only
// addresses that the KV configuration names, and this machine, are listened to.
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback } from '@lmqtt/common/loopback';
import { firstLevel } from '../rocketmq/mapping/topic-mapping.ts';
import { type AnswerHeader, GarbageReceived } from '../rocketmq/remoting/answer-header.ts';
import { frameHeadBytes, FrameReader, writeFrame } from '../rocketmq/remoting/frame.ts';
import { isRecord } from '../rocketmq/remoting/json.ts';
import type { JavaNodeEvents } from './java-events.ts';

export const notifyCode = 201;
export const closeCode = 203;
/** Java nodes take 1 for success, where RocketMQ has 0. */
export const successCode = 1;
const failureCode = -1;

const frameBytesMax = 1 << 20;
const connectionsMax = 256;
const firstLevelsMax = 1000;
const idleMs = 600_000;

export interface AskedOfUs {
  /** Messages were stored under these first levels. */
  messages(firstLevels: readonly string[]): Promise<void>;
  close(clientId: string): Promise<boolean>;
}

interface EventServerOptions {
  readonly host: string;
  readonly port: number;
  readonly events: JavaNodeEvents;
  readonly asked: AskedOfUs;
}

export class EventServer {
  readonly #options: EventServerOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #nodes: ReadonlySet<string> = new Set();

  constructor(options: EventServerOptions) {
    this.#options = options;
  }

  /** Whether an address of LMQ_CONNECT_NODES is this process. */
  isAt(node: string): boolean {
    if (this.#server?.listening !== true) return false;
    const { host } = this.#options;
    if (host !== '0.0.0.0' && host !== '::') return node === host;
    const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    return own.some(({ address }) => address === node);
  }

  /** Listens, if it does not yet; a port that is in use is tried again with the next call. */
  async start(nodes: readonly string[]): Promise<void> {
    this.#nodes = new Set(nodes);
    if (this.#server !== undefined) return;
    const { host, port, events } = this.#options;
    const server = createServer((socket) => this.#accept(socket));
    server.maxConnections = connectionsMax;
    this.#server = server;
    const failure = await new Promise<Error | undefined>((resolve) => {
      server.once('error', resolve);
      server.listen({ host, port }, () => resolve(undefined));
    });
    if (failure === undefined) {
      events.listening(port);
      return;
    }
    this.#server = undefined;
    events.notListening(port, failure.message);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server?.listening !== true) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  }

  #accept(socket: Socket): void {
    const { asked: counters } = this.#options.events;
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    socket.on('error', () => socket.destroy());
    if (!isLoopback(address) && !this.#nodes.has(address)) {
      counters.stranger += 1;
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.setTimeout(idleMs, () => socket.destroy());
    const reader = new FrameReader(frameBytesMax, (header, body) => {
      if (!header.isAnswer) void this.#answer(socket, header, body);
      return !socket.destroyed;
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof GarbageReceived)) throw error;
        counters.garbage += 1;
        socket.destroy();
      }
    });
  }

  async #answer(socket: Socket, header: AnswerHeader, body: Buffer): Promise<void> {
    let code = successCode;
    try {
      await this.#heed(header, body);
    } catch {
      code = failureCode;
    }
    if (socket.destroyed) return;
    const { opaque } = header;
    const text = JSON.stringify({ code, flag: 1, language: 'OTHER', opaque, version: 401 });
    const frame = Buffer.alloc(frameHeadBytes + Buffer.byteLength(text));
    writeFrame(frame, 0, text, undefined);
    socket.write(frame);
  }

  async #heed(header: AnswerHeader, body: Buffer): Promise<void> {
    const { asked, events } = this.#options;
    if (header.code === notifyCode) {
      events.asked.messages += 1;
      await asked.messages(firstLevelsIn(body));
    } else if (header.code === closeCode) {
      events.asked.close += 1;
      const id = header.field('channelId');
      if (id !== undefined && id !== '') await asked.close(id);
    } else events.asked.unknown += 1;
  }
}

/** `[{pubTopic,namespace,queueId,brokerName}]`. Throws where it is none. */
function firstLevelsIn(body: Buffer): string[] {
  const list: unknown = JSON.parse(body.toString('utf8'));
  if (!Array.isArray(list)) throw new Error('no list of events');
  const found = new Set<string>();
  for (const event of list) {
    if (!isRecord(event) || typeof event['pubTopic'] !== 'string') continue;
    if (found.size < firstLevelsMax) found.add(firstLevel(event['pubTopic']));
  }
  return [...found];
}
