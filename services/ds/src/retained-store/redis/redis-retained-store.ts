import type { Message, OrderKey } from '@lmqtt/common/message';
import { isWildcardFilter } from '@lmqtt/common/topic';
import type { RedisConnection } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { RetainedPins } from './pins.ts';
import { type RetainedLimits, RetainedPuts } from './puts.ts';
import { RetainedReads } from './reads.ts';
import { decodeRecord } from './record.ts';
import {
  goneKeptMs,
  pinnedKeptMs,
  replacedKeptMs,
  type RetainedKeys,
  retainedKeys,
} from './keys.ts';
import type { RetainedPage, RetainedStore } from '../retained-store.ts';
import { scanTopics } from './scan.ts';
import { loadScript } from '../../redis/script.ts';

const sweep = loadScript(import.meta.dirname, 'sweep');
const sweptAtOnce = 200;
/** Topics whose sizes are remembered, for what is asked when the limits are reached. */
const knownMax = 10_000;

/**
 * Retained messages of a cluster in Redis, under one hash tag. What the scripts do is atomic; here
 * is what must be answered at once: the figures as last heard, from any node's put, and which of
 * the topics of late have a message. Where they do not suffice a put is let through, and the
 * script decides.
 */
export class RedisRetainedStore implements RetainedStore {
  readonly #connection: RedisConnection;
  readonly #keys: RetainedKeys;
  readonly #limits: RetainedLimits;
  readonly #puts: RetainedPuts;
  readonly #reads: RetainedReads;
  readonly #pins: RetainedPins;
  /** Sizes by topic; 0: it has none. */
  readonly #known = new Map<string, number>();
  #knownCount = 0;
  #count = 0;
  #bytes = 0;
  #sweeping = false;

  private constructor(connection: RedisConnection, keys: RedisKeys, limits: RetainedLimits) {
    this.#connection = connection;
    this.#keys = retainedKeys(keys);
    this.#limits = limits;
    this.#reads = new RetainedReads(connection, this.#keys);
    this.#puts = new RetainedPuts(connection, this.#keys, limits, {
      // A read that was asked for before is not answered with a later put.
      beforeSend: () => this.#reads.send(),
      figures: (count, bytes) => this.#note(count, bytes),
      counts: (message) => this.#learn(message),
    });
    this.#pins = new RetainedPins(connection, this.#keys);
  }

  /** Resolves when the figures are known. */
  static async open(
    connection: RedisConnection,
    keys: RedisKeys,
    limits: RetainedLimits,
  ): Promise<RedisRetainedStore> {
    const store = new RedisRetainedStore(connection, keys, limits);
    await store.#sweep();
    return store;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  admits(message: Message): boolean {
    if (message.payloadBytes === 0) return true;
    const size = message.heldBytes;
    const known = this.#known.get(message.topic);
    if (known === undefined && this.#knownCount !== this.#count) {
      const isLarge = size > this.#limits.bytesMax;
      return !isLarge && this.#limits.messagesMax > 0;
    }
    const before = known ?? 0;
    const count = this.#count + (before === 0 ? 1 : 0);
    const bytes = this.#bytes + size - before;
    return count <= this.#limits.messagesMax && bytes <= this.#limits.bytesMax;
  }

  put(message: Message, orderKey: OrderKey | undefined, done?: (reasonCode: number) => void): void {
    this.#puts.put(message, orderKey, done);
  }

  async match(
    filter: string,
    after: string,
    messagesMax: number,
    bytesMax: number,
  ): Promise<RetainedPage> {
    if (!isWildcardFilter(filter)) {
      if (after !== '' && Buffer.compare(Buffer.from(after), Buffer.from(filter)) >= 0) {
        return { messages: [], next: undefined };
      }
      const message = this.#given(await this.#reads.one(filter));
      return { messages: message === undefined ? [] : [message], next: undefined };
    }
    const max = Math.max(1, messagesMax);
    const { topics, last } = await scanTopics(
      this.#connection,
      this.#keys.topics,
      filter,
      after,
      max,
    );
    const messages: Message[] = [];
    if (topics.length === 0) return { messages, next: last?.toString() };
    const records = await this.#reads.some(topics, Math.max(1, bytesMax));
    let bytes = 0;
    for (const [index, record] of records.entries()) {
      const message = this.#given(record);
      if (message === undefined) continue;
      bytes += message.heldBytes;
      if (messages.length > 0 && bytes > bytesMax) {
        return { messages, next: topics[index - 1]?.toString() };
      }
      messages.push(message);
    }
    const isCut = records.length < topics.length;
    return { messages, next: (isCut ? topics[records.length - 1] : last)?.toString() };
  }

  async version(topic: string, orderKey: OrderKey): Promise<Message | undefined> {
    const record = await this.#reads.version(topic, orderKey);
    return record === undefined ? undefined : decodeRecord(record);
  }

  pin(topic: string, orderKey: OrderKey): void {
    this.#pins.pin(topic, orderKey);
  }

  unpin(topic: string, orderKey: OrderKey): void {
    this.#pins.unpin(topic, orderKey);
  }

  /** Ends and forgets a bounded number, and hears the figures; from a timer, once a second. */
  sweep(): void {
    if (this.#sweeping || !this.#connection.up) return;
    this.#sweeping = true;
    // A Redis that is away is said by its connection; the next sweep goes on.
    Promise.all([this.#sweep(), this.#pins.tell()])
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  async #sweep(): Promise<void> {
    const { records, topics, gone, expiring, replaced, kept, pins, figures, pinned } = this.#keys;
    const keys = [records, topics, gone, expiring, replaced, kept, pins, figures, pinned];
    const args = [sweptAtOnce, replacedKeptMs, pinnedKeptMs, goneKeptMs];
    const reply = await this.#connection.call(sweep, keys, args);
    if (Array.isArray(reply)) this.#note(Number(reply[0]), Number(reply[1]));
  }

  #given(record: Buffer | undefined): Message | undefined {
    const message = record === undefined ? undefined : decodeRecord(record);
    if (message === undefined) return undefined;
    const { expiresAtMs } = message;
    return expiresAtMs !== 0 && expiresAtMs <= this.#connection.timeMs() ? undefined : message;
  }

  #note(count: number, bytes: number): void {
    this.#count = count;
    this.#bytes = bytes;
  }

  #learn(message: Message): void {
    const before = this.#known.get(message.topic) ?? 0;
    const size = message.payloadBytes === 0 ? 0 : message.heldBytes;
    this.#knownCount += (size > 0 ? 1 : 0) - (before > 0 ? 1 : 0);
    this.#known.delete(message.topic);
    this.#known.set(message.topic, size);
    if (this.#known.size <= knownMax) return;
    const [oldest, oldSize] = this.#known.entries().next().value!;
    this.#known.delete(oldest);
    if (oldSize > 0) this.#knownCount -= 1;
  }
}
