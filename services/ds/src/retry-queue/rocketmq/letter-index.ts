import type { Clock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { DeadLetter } from '../retry-queue.ts';
import { entryOf, entryProperty } from './entry-message.ts';
import type { OrdinaryTopic, StoredAt, TopicQueue } from './ordinary-topic.ts';

/** Where a dead letter is, in the order of the list. */
export interface LetterPlace {
  readonly storedMs: number;
  readonly offset: number;
  /** `{broker}/{queueId}` */
  readonly queue: string;
}

interface Letter extends LetterPlace {
  readonly id: string;
}

/** The letters of its own queue that a message takes away. */
export type Removal =
  | { readonly offsets: readonly number[] }
  /** All below. */
  | { readonly below: number };

interface Read {
  next: number;
  readonly letters: Map<number, Letter>;
  /** Readers of one queue take turns. */
  turn: Promise<void>;
}

const pullMax = 32;
/** Removals between the letters that are looked for. */
const removalsMax = 1000;
const askAgainMs = 10;
/** A broker shows within this time what it has stored, if it has not lost it. */
const shownWithinMs = 5000;

/**
 * The dead letters in the topic, without their messages: read from where the newest are, and read on
 * whenever somebody asks. A removal is a message of the same queue, behind what it takes away.
 */
export class LetterIndex {
  readonly #topic: OrdinaryTopic;
  readonly #lettersMax: number;
  readonly #clock: Clock;
  readonly #read = new Map<string, Read>();
  /** The last offset of each queue that this process knows to be stored, until it was read. */
  readonly #expected = new Map<string, number>();

  constructor(topic: OrdinaryTopic, lettersMax: number, clock: Clock) {
    this.#topic = topic;
    this.#lettersMax = lettersMax;
    this.#clock = clock;
  }

  /** The next reading waits until the broker shows the message. */
  expect({ queue: { name }, offset }: StoredAt): void {
    this.#expected.set(name, Math.max(offset, this.#expected.get(name) ?? 0));
  }

  /**
   * Oldest first, with all that was expected before the call. Rejects where a broker of the topic does
   * not answer, or has not shown in 5 s what was expected; that is not expected again.
   */
  async letters(): Promise<Letter[]> {
    const queues = await this.#topic.queues();
    await Promise.all(queues.map((queue) => this.#readOn(queue)));
    const all = [...this.#read.values()].flatMap(({ letters }) => [...letters.values()]);
    all.sort(inOrder);
    return all.slice(-this.#lettersMax);
  }

  /** undefined: the message is there no more. */
  async letter({ id, queue: name, offset }: Letter): Promise<DeadLetter | undefined> {
    const queue = (await this.#topic.queues()).find((one) => one.name === name);
    if (queue === undefined) return undefined;
    const { messages } = await this.#topic.pull(queue, offset, 1);
    const stored = messages.find(({ queueOffset }) => queueOffset === offset);
    const entry = stored && entryOf(stored);
    return entry && { id, deadMs: stored.storedMs, entry };
  }

  async #readOn(queue: TopicQueue): Promise<void> {
    let read = this.#read.get(queue.name);
    if (read === undefined) {
      read = { next: -1, letters: new Map(), turn: Promise.resolve() };
      this.#read.set(queue.name, read);
    }
    const mine = read;
    const reading = mine.turn.then(() => this.#readTo(queue, mine));
    mine.turn = reading.catch(() => undefined);
    await reading;
  }

  async #readTo(queue: TopicQueue, read: Read): Promise<void> {
    if (read.next < 0) {
      const { min, max } = await this.#topic.ends(queue);
      read.next = Math.max(min, max - 2 * this.#lettersMax - removalsMax);
    }
    let untilMs: number | undefined;
    for (;;) {
      if (await this.#readSome(queue, read)) continue;
      const expected = this.#expected.get(queue.name);
      if (expected === undefined) return;
      const nowMs = this.#clock.monotonicMs();
      untilMs ??= nowMs + shownWithinMs;
      const isShown = read.next > expected;
      if (isShown || nowMs >= untilMs) this.#expected.delete(queue.name);
      if (isShown) return;
      if (nowMs >= untilMs) {
        const reason = `${queue.name} does not show what it has stored`;
        throw new StoreFailure(reason, ReasonCode.serverUnavailable);
      }
      await pause(askAgainMs);
    }
  }

  /** Whether there is more. */
  async #readSome(queue: TopicQueue, read: Read): Promise<boolean> {
    const { messages, next, max } = await this.#topic.pull(queue, read.next, pullMax);
    for (const stored of messages)
      if (stored.queueOffset >= read.next) take(read, queue.name, stored);
    const hasMore = next > read.next && next < max;
    read.next = next;
    for (const [offset] of read.letters) {
      if (read.letters.size <= this.#lettersMax) break;
      read.letters.delete(offset);
    }
    return hasMore;
  }
}

/** The older one first; each has its place, whatever is there besides. */
export function inOrder(a: LetterPlace, b: LetterPlace): number {
  if (a.storedMs !== b.storedMs) return a.storedMs - b.storedMs;
  if (a.offset !== b.offset) return a.offset - b.offset;
  return a.queue < b.queue ? -1 : Number(a.queue > b.queue);
}

/** Place of the letter of that name, whether or not it is there. */
export function placeOf(id: string): LetterPlace {
  const [ms = '', offset = '', ...queue] = id.split('.');
  const queueId = queue.pop() ?? '';
  return {
    storedMs: Number(ms),
    offset: Number(offset),
    queue: `${queue.join('.')}/${queueId}`,
  };
}

function take({ letters }: Read, queue: string, stored: StoredMessage): void {
  const { queueOffset: offset, storedMs } = stored;
  if (stored.property(entryProperty.removed) !== undefined) {
    remove(letters, removalOf(stored.message.payload));
    return;
  }
  if (stored.property(entryProperty.reason) === undefined) return;
  const id = `${storedMs}.${offset}.${queue.replace('/', '.')}`;
  letters.set(offset, { id, queue, offset, storedMs });
}

function remove(letters: Map<number, Letter>, removal: Removal | undefined): void {
  if (removal === undefined) return;
  if ('offsets' in removal) for (const offset of removal.offsets) letters.delete(offset);
  else for (const offset of letters.keys()) if (offset < removal.below) letters.delete(offset);
}

/** undefined: others have written into the topic. */
function removalOf(payload: Buffer): Removal | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString());
    if (typeof value !== 'object' || value === null) return undefined;
    if ('below' in value && typeof value.below === 'number') return { below: value.below };
    if (!('offsets' in value) || !Array.isArray(value.offsets)) return undefined;
    return { offsets: value.offsets.filter((one): one is number => typeof one === 'number') };
  } catch {
    return undefined;
  }
}
