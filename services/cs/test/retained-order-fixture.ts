import { clientId, epoch, queueId, sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { ReadAnswer, RetainedAnswer, RetainedRequest } from '@lmqtt/proto/link';
import { QueueFeed } from '../src/queue/feed.ts';
import { puback, pubcomp, pubrec } from '../src/session/acknowledgement.ts';
import type { Subscription } from '../src/session/cursor.ts';
import type { SessionNode } from '../src/session/outbound-session.ts';
import { Session } from '../src/session/session.ts';
import { readFrom } from './queue-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

/** A message of a topic as a client got it. */
export interface Received {
  readonly topic: string;
  readonly version: number;
  /** Whether it came as a retained message. */
  readonly retain: boolean;
}

export interface BrokerOptions {
  /**
   * Whether the broker behaves as in a cluster: QoS 0 is pushed without an order key, and retained
   * messages are put later.
   */
  readonly putsLater: boolean;
  readonly subscribedQos: Qos;
  readonly persistent: boolean;
  readonly pageMax: number;
}

const queue = queueId(1);
const none = (): void => {};

/**
 * One session and the ds behind it, whose pushes, puts and answers come when the test says so, each
 * kind in its order. An answer comes behind what had been pushed when it was given.
 */
export class RetainedBroker {
  readonly received: Received[] = [];
  readonly session: Session;
  readonly subscription: Subscription;
  /** Topics of which a live message was dropped, because the client was slow. */
  readonly dropped: Set<string> = new Set();
  writable = true;
  /** Number of messages that were received before the last SUBACK. */
  subscribedAt = 0;
  readonly #options: BrokerOptions;
  readonly #stored: Message[] = [];
  readonly #retained: Map<string, Message> = new Map();
  readonly #downstream: (() => void)[] = [];
  readonly #puts: (() => void)[] = [];
  readonly #durable: (() => void)[] = [];
  readonly #unacknowledged: { readonly packetId: number; readonly qos: Qos }[] = [];
  readonly #feed: QueueFeed;
  #lastVersion = 0;
  #pushing: string | undefined = undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    const limits = {
      ringMessagesMax: 8,
      ringBytesMax: 1 << 20,
      readMessagesMax: 5,
      readBytesMax: 1e6,
    };
    this.#feed = new QueueFeed(
      queue,
      0,
      limits,
      (request) => this.#answer(() => ({ ...readFrom(this.#stored, request), ...this.#end() })),
      () => 0,
    );
    this.session = new Session(
      {
        handle: sessionHandle(1),
        clientId: clientId('c'),
        epoch: epoch(1),
        persistent: options.persistent,
        windowSize: 3,
      },
      this.#node(),
      this.#outlet(),
    );
    this.subscription = this.session.subscribe(
      subscriptionState('#', queue, options.subscribedQos),
    );
  }

  /** SUBACK is out. */
  subscribed(): void {
    this.subscribedAt = this.received.length;
    this.session.sendRetained(this.subscription, '');
  }

  publish(topic: string, qos: Qos, retain: boolean, isLive: boolean): number {
    this.#lastVersion += 1;
    const version = this.#lastVersion;
    const payload = Buffer.from(`${version}`);
    const message = messageOf({ topic, qos, retain, payload });
    const orderKey = { placement: 0, offset: version };
    if (retain) {
      const kept = messageOf({ topic, qos, retain, payload });
      kept.orderKey = orderKey;
      const put = (): void => void this.#retained.set(topic, kept);
      if (this.#options.putsLater && isLive) this.#puts.push(put);
      else put();
    }
    if (!isLive) return version;
    if (qos > 0 || !this.#options.putsLater) message.orderKey = orderKey;
    const offset = qos === 0 ? -1 : this.#stored.length;
    const entry = { queue, partition: 0, offset, previous: offset - 1 };
    message.entries = [entry];
    if (qos > 0) this.#stored.push(message);
    this.#downstream.push(() => {
      this.#pushing = topic;
      if (qos > 0) this.#feed.push(message, entry);
      for (const reader of this.#feed.readers) {
        if (qos > 0) reader.arrived();
        else reader.passing(message);
      }
      this.#pushing = undefined;
    });
    return version;
  }

  /** A push is lost. */
  lose(): void {
    this.#feed.behind(this.#stored.length);
  }

  step(what: 'downstream' | 'put' | 'durable' | 'acknowledge'): boolean {
    if (what === 'acknowledge') return this.#acknowledge();
    const waiting = { downstream: this.#downstream, put: this.#puts, durable: this.#durable }[what];
    const next = waiting.shift();
    next?.();
    return next !== undefined;
  }

  /** All that is under way comes. */
  async deliver(): Promise<void> {
    while (this.step('downstream')) await new Promise((resolve) => setImmediate(resolve));
  }

  #acknowledge(): boolean {
    const first = this.#unacknowledged.shift();
    if (first === undefined) return false;
    if (first.qos === 1) puback(this.session, first.packetId, false);
    else pubrec(this.session, first.packetId, false);
    return true;
  }

  #end(): { readonly end: number } {
    return { end: this.#stored.length };
  }

  /** Read now, answered behind what was pushed before. */
  #answer<T>(read: () => T): Promise<T> {
    return new Promise((resolve) => {
      const answer = read();
      this.#downstream.push(() => resolve(answer));
    });
  }

  #page({ after, version }: RetainedRequest): RetainedAnswer {
    const topics = [...this.#retained.keys()].filter((topic) => topic > after).sort();
    const { pageMax } = this.#options;
    const messages = topics.slice(0, pageMax).map((topic) => this.#retained.get(topic)!);
    if (version !== undefined) throw new Error('nothing is sent again');
    const next = topics.length > pageMax ? topics[pageMax - 1] : undefined;
    return { messages, next, ends: [{ partition: 0, offset: this.#stored.length }] };
  }

  #node(): SessionNode {
    return {
      journal: { write: none, writeDurably: (_write, then) => this.#durable.push(then) },
      events: {
        expired: none,
        tooLarge: none,
        droppedSlow: () => {
          if (this.#pushing !== undefined) this.dropped.add(this.#pushing);
        },
        windowFull: none,
        refusedByClient: none,
        lost: none,
      },
      time: { wallMs: 1_000_000 },
      feed: () => this.#feed,
      partitionsOf: () => [],
      releaseFeed: none,
      readRetained: (request) => this.#answer(() => this.#page(request)),
      readQueue: (request): Promise<ReadAnswer> =>
        this.#answer(() => readFrom(this.#stored, request)),
      schedule: none,
      positionMoved: none,
      sendReceipt: () => {},
      credit: none,
    };
  }

  #outlet(): Session['outlet'] {
    const isWritable = (): boolean => this.writable;
    return {
      get writable() {
        return isWritable();
      },
      sendPublish: (message, qos, _dup, retain, packetId) => {
        const { topic } = message;
        this.received.push({ topic, version: Number(message.payload.toString()), retain });
        if (qos > 0) this.#unacknowledged.push({ packetId, qos });
        return true;
      },
      sendPubrel: (packetId) => void pubcomp(this.session, packetId, false),
    };
  }
}
