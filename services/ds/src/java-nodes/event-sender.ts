// Events for Java nodes: which topics have new messages, and at which broker (code 201). Java nodes
// find new messages by a consumer of their own as well, so that what is dropped here costs time only.
import { systemClock } from '@lmqtt/common/clock';
import { createConnection, type Socket } from 'node:net';
import { frameHeadBytes, FrameReader, writeFrame } from '../rocketmq/remoting/frame.ts';
import { notifyCode, successCode } from './event-server.ts';
import type { JavaEvent } from './event-retries.ts';
import type { JavaNodeEvents } from './java-events.ts';

/** Events that come within this time make one request. */
const gatherMs = 20;
const batchMax = 500;
/** Events that wait for one node. */
const waitingMax = 10_000;
const answerMs = 1000;
const awayMs = 5000;
const answerBytesMax = 1 << 16;

interface EventSenderOptions {
  /** The same at every node; null: nothing is sent. */
  readonly port: number | null;
  readonly events: JavaNodeEvents;
  /** Whether the address is that of this process. */
  readonly isOwn: (node: string) => boolean;
  /** Absent: what a node does not take is dropped. */
  readonly retry?: (node: string, events: readonly JavaEvent[]) => void;
}

export class EventSender {
  readonly #options: EventSenderOptions;
  readonly #nodes = new Map<string, NodeLine>();

  constructor(options: EventSenderOptions) {
    this.#options = options;
  }

  /** Sets the nodes of LMQ_CONNECT_NODES, by address. */
  nodes(addresses: readonly string[]): void {
    const { port, events, retry } = this.#options;
    for (const [address, line] of this.#nodes) {
      if (addresses.includes(address)) continue;
      line.close();
      this.#nodes.delete(address);
    }
    if (port === null) return;
    for (const address of addresses)
      if (!this.#nodes.has(address))
        this.#nodes.set(address, new NodeLine(address, port, events, retry));
  }

  tell(pubTopic: string, brokerName: string): void {
    for (const [address, line] of this.#nodes)
      if (!this.#options.isOwn(address)) line.add(pubTopic, brokerName);
  }

  close(): void {
    for (const line of this.#nodes.values()) line.close();
    this.#nodes.clear();
  }
}

/** One node: events that wait, and one request at a time. */
class NodeLine {
  readonly #address: string;
  readonly #port: number;
  readonly #events: JavaNodeEvents;
  readonly #retry: EventSenderOptions['retry'];
  /** By broker and topic: several messages of a topic are one event. */
  readonly #waiting = new Map<string, JavaEvent>();
  #socket: Socket | undefined;
  #opaque = 0;
  #timer: NodeJS.Timeout | undefined;
  #answered: (code: number) => void = () => {};
  #isBusy = false;
  #awayUntilMs = 0;
  #isClosed = false;

  constructor(
    address: string,
    port: number,
    events: JavaNodeEvents,
    retry: EventSenderOptions['retry'],
  ) {
    this.#address = address;
    this.#port = port;
    this.#events = events;
    this.#retry = retry;
  }

  add(pubTopic: string, brokerName: string): void {
    const awayForMs = Math.max(0, this.#awayUntilMs - systemClock.monotonicMs());
    const isLeftOut = awayForMs > 0 && this.#retry === undefined;
    if (this.#waiting.size >= waitingMax || isLeftOut) {
      this.#events.told.dropped += 1;
      return;
    }
    this.#waiting.set(`${brokerName} ${pubTopic}`, { pubTopic, queueId: 0, brokerName });
    const waitMs = Math.max(gatherMs, awayForMs);
    if (!this.#isBusy) this.#timer ??= setTimeout(() => void this.#send(), waitMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    this.#isBusy = true;
    const batch = [...this.#waiting].slice(0, batchMax);
    for (const [key] of batch) this.#waiting.delete(key);
    const reason = await this.#ask(batch.map(([, event]) => event));
    this.#isBusy = false;
    if (reason === undefined) this.#events.told.told += batch.length;
    else if (!this.#isClosed) {
      this.#events.told.failed += batch.length;
      if (this.#retry === undefined) this.#events.told.dropped += this.#waiting.size;
      else
        this.#retry(this.#address, [...batch.map(([, event]) => event), ...this.#waiting.values()]);
      this.#waiting.clear();
      this.#awayUntilMs = systemClock.monotonicMs() + awayMs;
      this.#events.nodeAway(this.#address, reason);
    }
    if (this.#waiting.size > 0 && !this.#isClosed)
      this.#timer = setTimeout(() => void this.#send(), gatherMs);
  }

  /** undefined: taken. */
  async #ask(events: readonly unknown[]): Promise<string | undefined> {
    const socket = this.#socket ?? this.#connect();
    this.#opaque += 1;
    const header = { code: notifyCode, flag: 0, language: 'OTHER', opaque: this.#opaque };
    const text = JSON.stringify({ ...header, version: 401, extFields: {} });
    const body = Buffer.from(JSON.stringify(events));
    const frame = Buffer.alloc(frameHeadBytes + Buffer.byteLength(text) + body.length);
    writeFrame(frame, 0, text, body);
    const code = await new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(Number.NaN), answerMs);
      this.#answered = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      socket.write(frame);
    });
    this.#answered = () => {};
    if (code === successCode) return undefined;
    socket.destroy();
    this.#socket = undefined;
    return Number.isNaN(code) ? 'no answer' : `answers with code ${code}`;
  }

  #connect(): Socket {
    const socket = createConnection({ host: this.#address, port: this.#port });
    this.#socket = socket;
    const reader = new FrameReader(answerBytesMax, (header) => {
      if (header.isAnswer && header.opaque === this.#opaque) this.#answered(header.code);
      return true;
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch {
        socket.destroy();
      }
    });
    // The reason is in the time-out; a node that is away is said once.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#answered(Number.NaN);
    });
    return socket;
  }
}
