import { isTime, positionSince, timeOf } from '@lmqtt/common/cursor';
import type { ClientId, Epoch, QueueId } from '@lmqtt/common/ids';
import { messageOf, type Message, type QueueEntry } from '@lmqtt/common/message';
import type {
  Append,
  Loss,
  Outcome,
  PartitionEnd,
  QueueStore,
} from '@lmqtt/ds/queue-store/queue-store';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';

interface Stored {
  readonly offset: number;
  readonly storedMs: number;
  readonly message: Message;
}

interface Partition {
  readonly messages: Stored[];
  next: number;
  last: number;
  /** End that `ends` answers: behind by up to the messages whose arrival is still to be told. */
  shownEnd: number;
  trimmed: number;
}

interface Order {
  readonly batch: Append[];
  readonly done: (batch: Append[]) => void;
}

/**
 * A store in memory that makes use of everything that the port does not promise, so that nothing
 * above it leans on the simplicity of the embedded log: two partitions, and more that appear late
 * or cannot be reached for a time; offsets with holes, known only some time after the answer;
 * messages in queues that nobody put there; arrivals in any order, late, and twice; ends that lag
 * behind what was acknowledged; answers of different lanes in any order; failed appends that are
 * stored after all.
 */
export class AwkwardQueueStore implements QueueStore {
  readonly #random: () => number;
  readonly #slowestMs: number;
  readonly #queues = new Map<QueueId, Partition[]>();
  readonly #dropped = new Set<QueueId>();
  readonly #outcomes = new Map<string, Outcome>();
  /** The last batch of each lane. */
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** First offsets of queues that are made now, by partition. */
  readonly #firsts = [0, 1000];
  readonly #away = new Set<number>();
  readonly #mute = new Set<number>();
  #appearAfter: number;
  #order = 0;
  #fail: ('never' | 'later')[] = [];
  #arrived: (messages: Message[]) => void = () => undefined;
  #closed = false;

  /**
   * `slowestMs`: the longest that anything is held back. `appearAfter`: messages after which
   * another partition appears.
   */
  constructor(
    seed: number,
    options: { readonly slowestMs?: number; readonly appearAfter?: number } = {},
  ) {
    const { slowestMs = 8, appearAfter = Infinity } = options;
    this.#random = randomOf(seed);
    this.#slowestMs = slowestMs;
    this.#appearAfter = appearAfter;
  }

  /** Another partition: queues that are there begin in it at 0. Answers its number. */
  appear(): number {
    return this.#firsts.push(500) - 1;
  }

  /** Nothing is stored there, and nobody is told anything of it, until it is back. */
  setAway(partition: number, isAway: boolean): void {
    if (isAway) this.#away.add(partition);
    else this.#away.delete(partition);
  }

  /** The partition stores and can be read, but does not say in time where its queues end. */
  setMute(partition: number, isMute: boolean): void {
    if (isMute) this.#mute.add(partition);
    else this.#mute.delete(partition);
  }

  partitions(): readonly number[] {
    return [...this.#firsts.keys()];
  }

  /** The next append that is to be stored fails; `later`: and is stored afterwards. */
  failNext(how: 'never' | 'later'): void {
    this.#fail.push(how);
  }

  /** Arrivals of all that was stored were told, and `ends` do not lag. */
  get hasTold(): boolean {
    return this.#timers.size === 0;
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  append(batch: Append[], done: (batch: Append[]) => void): void {
    for (const { inbound } of batch) {
      if (inbound !== undefined) this.#outcomes.set(keyOf(inbound), 'unknown');
    }
    const lanes = new Set(batch.map(({ lane }) => lane));
    const before = [...lanes].map((lane) => this.#lanes.get(lane) ?? Promise.resolve());
    const turn = this.#answer({ batch, done }, before);
    for (const lane of lanes) this.#lanes.set(lane, turn);
  }

  outcome(clientId: ClientId, epoch: Epoch, packetId: number): Promise<Outcome> {
    return Promise.resolve(
      this.#outcomes.get(keyOf({ clientId, epoch, packetId })) ?? 'not stored',
    );
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    await this.#wait();
    const partition = this.#queues.get(request.queue)?.[request.partition];
    if (this.#away.has(request.partition)) throw new Error('the partition is away');
    const from = fromOf(request, partition);
    if (partition === undefined) return { messages: [], next: from, end: 0 };
    const messages: Message[] = [];
    let bytes = 0;
    let next = from;
    for (const { offset, message } of partition.messages) {
      if (offset < from) continue;
      bytes += message.payloadBytes + message.topic.length;
      const full = messages.length >= request.messagesMax || bytes > request.bytesMax;
      if (full && messages.length > 0) break;
      messages.push(message);
      next = offset + 1;
    }
    return { messages, next, end: partition.shownEnd };
  }

  async ends(queue: QueueId): Promise<PartitionEnd[]> {
    // Noted first: what is appended after the answer must not be below.
    const now = positionSince(Date.now());
    const ends = this.#partitions(queue).map(({ messages, shownEnd }, partition) => {
      const isUnknown = this.#away.has(partition) || this.#mute.has(partition);
      if (isUnknown) return { partition, first: now, end: now };
      const first = Math.min(messages[0]?.offset ?? shownEnd, shownEnd);
      return { partition, first, end: shownEnd };
    });
    await this.#wait();
    return ends;
  }

  onArrivals(listener: (messages: Message[]) => void): void {
    this.#arrived = listener;
  }

  /** It has no limit. */
  onLost(_listener: (loss: Loss) => void): void {
    return undefined;
  }

  trim(queue: QueueId, partition: number, offset: number): void {
    const found = this.#queues.get(queue)?.[partition];
    if (found === undefined || offset <= found.trimmed) return;
    found.trimmed = offset;
    // Sometimes only later, or never.
    if (this.#chance(0.3)) return;
    while ((found.messages[0]?.offset ?? Infinity) < offset) found.messages.shift();
  }

  async drop(queue: QueueId): Promise<void> {
    this.#dropped.add(queue);
    this.#queues.delete(queue);
    await this.#wait();
  }

  async #answer(order: Order, before: Promise<void>[]): Promise<void> {
    await Promise.all(before);
    await this.#wait();
    if (this.#closed) return;
    for (const append of order.batch) this.#settle(append);
    order.done(order.batch);
  }

  #settle(append: Append): void {
    const { queues, inbound } = append;
    const stores = queues.length > 0 || inbound !== undefined;
    const fails = stores ? this.#fail.shift() : undefined;
    if (fails === undefined) {
      append.reasonCode = 0;
      append.orderKey = { placement: 3, offset: (this.#order += 1 + this.#upTo(5)) };
      append.message.orderKey = append.orderKey;
      this.#store(append);
      return;
    }
    append.reasonCode = 0x97;
    this.#later(() => {
      if (fails === 'later') this.#store(append);
      else if (inbound !== undefined) this.#outcomes.set(keyOf(inbound), 'not stored');
    });
  }

  #store({ message, queues, lane, inbound }: Append): void {
    if (inbound !== undefined) this.#outcomes.set(keyOf(inbound), 'stored');
    const live = queues.filter((queue) => !this.#dropped.has(queue));
    if (live.length === 0) return;
    this.#appearAfter -= 1;
    if (this.#appearAfter === 0) this.appear();
    const there = this.partitions().filter((partition) => !this.#away.has(partition));
    for (const queue of live) {
      const foreignPlace = there[this.#upTo(there.length)]!;
      if (this.#chance(0.2)) this.#tell(this.#put(foreign(), [queue], foreignPlace));
    }
    const copy = copyOf(message);
    this.#put(copy, live, there[hash(lane) % there.length]!);
    this.#tell(copy);
    if (this.#chance(0.2)) this.#tell(copy);
  }

  #put(message: Message, queues: readonly QueueId[], number: number): Message {
    const entries: QueueEntry[] = [];
    for (const queue of queues) {
      const partition = this.#partitions(queue)[number];
      if (partition === undefined) continue;
      if (this.#chance(0.2)) partition.next += this.#upTo(4);
      const offset = partition.next++;
      message.storedMs = Date.now();
      entries.push({ queue, partition: number, offset, previous: partition.last });
      partition.last = offset;
      partition.messages.push({ offset, storedMs: Date.now(), message });
    }
    message.entries = entries;
    return message;
  }

  #tell(message: Message): void {
    this.#later(() => {
      for (const { queue, partition, offset } of message.entries) {
        const found = this.#queues.get(queue)?.[partition];
        if (found !== undefined) found.shownEnd = Math.max(found.shownEnd, offset + 1);
      }
      this.#arrived([message]);
    });
  }

  /** Partitions do not begin at the same offset; those that appear later begin at 0. */
  #partitions(queue: QueueId): Partition[] {
    let found = this.#queues.get(queue);
    if (found === undefined) {
      found = this.#firsts.map(partitionFrom);
      if (!this.#dropped.has(queue)) this.#queues.set(queue, found);
    }
    while (found.length < this.#firsts.length) found.push(partitionFrom(0));
    return found;
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, this.#upTo(this.#slowestMs));
    });
  }

  #later(work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, this.#upTo(this.#slowestMs));
    this.#timers.add(timer);
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #upTo(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function partitionFrom(first: number): Partition {
  return { messages: [], next: first, last: -1, shownEnd: first, trimmed: 0 };
}

function fromOf({ from }: ReadRequest, partition: Partition | undefined): number {
  if (!isTime(from)) return from;
  const found = partition?.messages.find(({ storedMs }) => storedMs >= timeOf(from));
  return found?.offset ?? partition?.next ?? 0;
}

function foreign(): Message {
  return messageOf({
    topic: 'foreign/topic',
    qos: 1,
    retain: false,
    payload: Buffer.from('foreign'),
    publisher: 'somebody else',
  });
}

function copyOf(message: Message): Message {
  const { topic, qos, retain, properties, expiresAtMs, publisher } = message;
  const payload = Buffer.from(message.payload);
  const copy = messageOf({ topic, qos, retain, payload, properties, expiresAtMs, publisher });
  copy.orderKey = message.orderKey;
  return copy;
}

function keyOf(id: { clientId: ClientId; epoch: Epoch; packetId: number }): string {
  return `${id.packetId} ${id.epoch} ${id.clientId}`;
}

function hash(text: string): number {
  let value = 7;
  for (let i = 0; i < text.length; i++) value = (value * 31 + text.charCodeAt(i)) >>> 0;
  return value;
}

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
