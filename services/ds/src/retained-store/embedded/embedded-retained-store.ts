import type { Clock } from '@lmqtt/common/clock';
import { isNewer, Message, type OrderKey } from '@lmqtt/common/message';
import { TopicTree } from '@lmqtt/common/topic-trie';
import { JournalTable } from '../../journal/journal-table.ts';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import { decodeMessage, encodeMessage } from '../../queue-store/single-message.ts';
import type { RetainedPage, RetainedStore } from '../retained-store.ts';

export interface RetainedLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** One version of a topic's retained message; an empty payload says that there is none. */
interface Version {
  readonly message: Message;
  readonly orderKey: OrderKey;
  pins: number;
  /** Monotonic time of its replacement; 0: it is the topic's. */
  replacedAtMs: number;
}

interface Topic {
  /** Names its entry in the checkpoints: topics may be too long for a key. */
  readonly number: number;
  readonly topic: string;
  current: Version;
  replaced: Version[];
}

const keyBytes = 12;
const replacedKeptMs = 60_000;
const sweptAtOnce = 1000;

/** Retained messages in memory, each put a record of the journal: order key, message. */
export class EmbeddedRetainedStore implements RetainedStore {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #limits: RetainedLimits;
  readonly #topics = new TopicTree<Topic>();
  readonly #byNumber = new Map<number, Topic>();
  /** Topics with versions that are no longer theirs, or with none. */
  readonly #swept = new Set<Topic>();
  readonly #table: JournalTable<number>;
  #expiring: Iterator<Topic> | undefined;
  #lastNumber = 0;
  #count = 0;
  #bytes = 0;

  constructor(journal: Journal, clock: Clock, limits: RetainedLimits) {
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
    this.#table = new JournalTable(
      'retained',
      (number) => this.#encode(number),
      (value) => this.#load(value),
    );
    journal.participate(this.#table);
    journal.register(RecordType.retainedPut, {
      replay: (body) => {
        const copy = Buffer.from(body);
        this.#apply(decodeMessage(copy.subarray(keyBytes)), readKey(copy, 0));
      },
    });
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  admits(message: Message): boolean {
    if (message.payloadBytes === 0) return true;
    const known = this.#topics.get(message.topic);
    const current = known === undefined || isNone(known.current) ? undefined : known.current;
    const count = this.#count + (current === undefined ? 1 : 0);
    const bytes = this.#bytes + message.heldBytes - (current ? current.message.heldBytes : 0);
    return count <= this.#limits.messagesMax && bytes <= this.#limits.bytesMax;
  }

  put(message: Message, orderKey: OrderKey | undefined, done?: (reasonCode: number) => void): void {
    const key = orderKey ?? { placement: 0, offset: this.#journal.nextOrder() };
    message.orderKey ??= key;
    const encoded = encodeMessage(message);
    const at = this.#journal.reserve(RecordType.retainedPut, keyBytes + encoded.length);
    writeKey(this.#journal.buffer, at, key);
    encoded.copy(this.#journal.buffer, at + keyBytes);
    const copy = decodeMessage(encoded);
    if (orderKey === undefined) {
      this.#apply(copy, key);
      if (done === undefined) return;
    }
    this.#journal.commit((failure) => {
      if (failure === undefined) this.#apply(copy, key);
      done?.(failure?.reasonCode ?? 0);
    });
  }

  match(
    filter: string,
    after: string,
    messagesMax: number,
    bytesMax: number,
  ): Promise<RetainedPage> {
    const nowMs = this.#clock.nowMs();
    const from = after === '' ? undefined : after;
    const page = this.#topics.matching(filter, from, Math.max(1, messagesMax));
    const messages: Message[] = [];
    let bytes = 0;
    let last: string | undefined;
    for (const [topic, { current }] of page.items) {
      const size = current.message.heldBytes;
      if (messages.length > 0 && bytes + size > bytesMax) {
        return Promise.resolve({ messages, next: last });
      }
      last = topic;
      if (isNone(current) || hasExpired(current.message, nowMs)) continue;
      messages.push(given(current));
      bytes += size;
    }
    return Promise.resolve({ messages, next: page.next });
  }

  version(topic: string, orderKey: OrderKey): Promise<Message | undefined> {
    const version = this.#find(topic, orderKey);
    return Promise.resolve(version && given(version));
  }

  pin(topic: string, orderKey: OrderKey): void {
    const version = this.#find(topic, orderKey);
    if (version !== undefined) version.pins += 1;
  }

  unpin(topic: string, orderKey: OrderKey): void {
    const version = this.#find(topic, orderKey);
    if (version !== undefined && version.pins > 0) version.pins -= 1;
  }

  /** Removes a bounded number of what has expired or is no longer needed; from a timer. */
  sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    let count = 0;
    for (const topic of this.#swept) {
      if ((count += 1) > sweptAtOnce) break;
      this.#sweepTopic(topic, nowMs);
    }
    const wallMs = this.#clock.nowMs();
    this.#expiring ??= this.#byNumber.values();
    for (let looks = 0; looks < sweptAtOnce; looks += 1) {
      const next = this.#expiring.next();
      if (next.done === true) {
        this.#expiring = undefined;
        return;
      }
      const { current } = next.value;
      if (isNone(current) || !hasExpired(current.message, wallMs)) continue;
      // Needs no record: replayed, it has expired as well.
      this.#account(current, -1);
      this.#keep(next.value, current);
      next.value.current = none(next.value.topic, current.orderKey, nowMs);
    }
  }

  #sweepTopic(topic: Topic, nowMs: number): void {
    const over = (version: Version): boolean =>
      version.pins === 0 && version.replacedAtMs + replacedKeptMs <= nowMs;
    const before = topic.replaced.length;
    topic.replaced = topic.replaced.filter((version) => !over(version));
    if (topic.replaced.length !== before) this.#table.mark(topic.number);
    if (topic.replaced.length > 0) {
      // Looked at in turn.
      this.#swept.delete(topic);
      this.#swept.add(topic);
      return;
    }
    if (!isNone(topic.current)) {
      this.#swept.delete(topic);
      return;
    }
    if (!over(topic.current)) return;
    this.#swept.delete(topic);
    this.#topics.delete(topic.topic);
    this.#byNumber.delete(topic.number);
    this.#table.mark(topic.number);
  }

  #apply(message: Message, orderKey: OrderKey): void {
    const nowMs = this.#clock.monotonicMs();
    const version =
      message.payloadBytes === 0
        ? none(message.topic, orderKey, nowMs)
        : { message, orderKey, pins: 0, replacedAtMs: 0 };
    let topic = this.#topics.get(message.topic);
    if (topic === undefined) {
      this.#lastNumber += 1;
      topic = this.#add(this.#lastNumber, version);
    } else {
      const { current } = topic;
      if (!isNewer(orderKey, current.orderKey)) return;
      this.#account(current, -1);
      if (!isNone(current)) this.#keep(topic, current);
      topic.current = version;
    }
    this.#account(version, 1);
    if (isNone(version)) this.#swept.add(topic);
    this.#table.mark(topic.number);
  }

  #keep(topic: Topic, version: Version): void {
    version.replacedAtMs = Math.max(this.#clock.monotonicMs(), 1);
    topic.replaced.push(version);
    this.#swept.add(topic);
    this.#table.mark(topic.number);
  }

  #add(number: number, current: Version): Topic {
    const topic = { number, topic: current.message.topic, current, replaced: [] };
    this.#topics.set(topic.topic, topic);
    this.#byNumber.set(number, topic);
    return topic;
  }

  #account(version: Version, sign: 1 | -1): void {
    if (isNone(version)) return;
    this.#count += sign;
    this.#bytes += sign * version.message.heldBytes;
  }

  #find(topic: string, key: OrderKey): Version | undefined {
    const known = this.#topics.get(topic);
    if (known === undefined) return undefined;
    const versions = [known.current, ...known.replaced];
    return versions.find((version) => isSame(version.orderKey, key) && !isNone(version));
  }

  /** The versions one after another, the topic's own first: u32 length, order key, message. */
  #encode(number: number): Buffer | undefined {
    const topic = this.#byNumber.get(number);
    if (topic === undefined) return undefined;
    const parts: Buffer[] = [];
    for (const version of [topic.current, ...topic.replaced]) {
      const encoded = encodeMessage(version.message);
      const head = Buffer.alloc(4 + keyBytes);
      head.writeUInt32LE(encoded.length, 0);
      writeKey(head, 4, version.orderKey);
      parts.push(head, encoded);
    }
    const first = Buffer.alloc(6);
    first.writeUIntLE(number, 0, 6);
    return Buffer.concat([first, ...parts]);
  }

  #load(value: Buffer): void {
    const number = value.readUIntLE(0, 6);
    this.#lastNumber = Math.max(this.#lastNumber, number);
    const nowMs = Math.max(this.#clock.monotonicMs(), 1);
    let topic: Topic | undefined;
    for (let at = 6; at < value.length;) {
      const bytes = value.readUInt32LE(at);
      const orderKey = readKey(value, at + 4);
      const start = at + 4 + keyBytes;
      at = start + bytes;
      const message = decodeMessage(value.subarray(start, at));
      const replacedAtMs = topic !== undefined || message.payloadBytes === 0 ? nowMs : 0;
      const version = { message, orderKey, pins: 0, replacedAtMs };
      if (topic !== undefined) {
        topic.replaced.push(version);
        this.#swept.add(topic);
        continue;
      }
      topic = this.#add(number, version);
      this.#account(version, 1);
      if (isNone(version)) this.#swept.add(topic);
    }
  }
}

/** The message as the caller's own: a view of the same bytes. */
function given({ message, orderKey }: Version): Message {
  const copy = new Message(
    message.topic,
    message.qos,
    true,
    message.buffer,
    message.topicStart,
    message.payloadStart,
    message.payloadEnd,
    message.properties,
    message.expiresAtMs,
    message.publisher,
  );
  copy.expiryS = message.expiryS;
  copy.orderKey = orderKey;
  return copy;
}

function none(topic: string, orderKey: OrderKey, nowMs: number): Version {
  const empty = Buffer.alloc(0);
  const message = new Message(topic, 0, true, empty, -1, 0, 0, undefined, 0, '');
  return { message, orderKey, pins: 0, replacedAtMs: Math.max(nowMs, 1) };
}

function isNone(version: Version): boolean {
  return version.message.payloadBytes === 0;
}

function hasExpired(message: Message, nowMs: number): boolean {
  return message.expiresAtMs !== 0 && message.expiresAtMs <= nowMs;
}

function isSame(a: OrderKey, b: OrderKey): boolean {
  return a.placement === b.placement && a.offset === b.offset;
}

function writeKey(buffer: Buffer, at: number, key: OrderKey): void {
  buffer.writeUIntLE(key.placement, at, 6);
  buffer.writeUIntLE(key.offset, at + 6, 6);
}

function readKey(buffer: Buffer, at: number): OrderKey {
  return { placement: buffer.readUIntLE(at, 6), offset: buffer.readUIntLE(at + 6, 6) };
}
