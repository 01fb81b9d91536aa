import type { QueueId } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import { Fifo } from '@lmqtt/common/fifo';
import { MovedTopics, TopicMoves } from './topic-moves.ts';

/**
 * Recent messages of one partition of one queue at this node, and everybody who reads them.
 *
 * The ring is a reorder buffer: pushes may come repeated, late, or not at all. It holds entries in
 * the order of their offsets; an entry may be taken by a reader whose next offset is past the
 * entry's previous one, otherwise something lies between and the store is asked. What the ring has
 * dropped can always be read, so a lost push costs latency and never a message.
 */

/** Somebody who reads the feed: a position that moves on. */
export interface Reader {
  /** The first offset that it has not taken. */
  readonly next: number;
  /** Something may be there to take. */
  arrived(): void;
  /** A message that is not stored: to be taken now or never. */
  passing(message: Message): void;
  /** A push may have been lost: look into the store. */
  recheck(): void;
  /** The queue has that partition, too: it is read by whoever reads another one. */
  appeared(partition: number): void;
  /** The answer of a read that it waits for; undefined: the read failed and may be tried again. */
  loaded(answer: ReadAnswer | undefined): void;
}

export interface FeedLimits {
  readonly ringMessagesMax: number;
  readonly ringBytesMax: number;
  /**
   * Maximum number of messages of one read; readers that take them at once get a few times as many.
   */
  readonly readMessagesMax: number;
  readonly readBytesMax: number;
}

/** Monotonic, as of this turn. */
export type Now = () => number;
export type ReadQueue = (request: ReadRequest) => Promise<ReadAnswer>;

/** A ring that nothing is ever pushed to. */
const noMessages: Fifo<Message> = new Fifo();
const noEntries: Fifo<QueueEntry> = new Fifo();

export class QueueFeed {
  readonly queue: QueueId;
  readonly partition: number;
  readonly readers: Reader[] = [];
  readonly #limits: FeedLimits;
  readonly #readQueue: ReadQueue;
  readonly nowMs: Now;
  /** Shared by all feeds of a node. */
  readonly moves: TopicMoves;
  #movedTopics: MovedTopics | undefined = undefined;
  /** The ring, made by the first push: most queues only pass on what is not stored. */
  #messages: Fifo<Message> = noMessages;
  #entries: Fifo<QueueEntry> = noEntries;
  #bytes = 0;
  /** Past the last entry that was ever pushed; 0: none was. */
  end = 0;
  /** In the list of those that had a push in this turn. */
  touched = false;
  /** The end at the last slow round. */
  checkedEnd = 0;
  #agedEnd = 0;
  #pending: Map<number, Reader[]> | undefined = undefined;

  constructor(
    queue: QueueId,
    partition: number,
    limits: FeedLimits,
    readQueue: ReadQueue,
    nowMs: Now,
    moves: TopicMoves = new TopicMoves(nowMs),
  ) {
    this.nowMs = nowMs;
    this.moves = moves;
    this.queue = queue;
    this.partition = partition;
    this.#limits = limits;
    this.#readQueue = readQueue;
  }

  /** Takes a push. A repeated one changes nothing. */
  push(message: Message, entry: QueueEntry): void {
    if (message.orderKey !== undefined) this.moves.saw(message.orderKey.placement);
    if (entry.offset >= this.end) {
      if (this.#entries === noEntries) {
        this.#messages = new Fifo();
        this.#entries = new Fifo();
      }
      this.#messages.push(message);
      this.#entries.push(entry);
      this.end = entry.offset + 1;
    } else if (!this.#insert(message, entry)) {
      return;
    }
    this.#bytes += message.heldBytes;
    while (
      this.#messages.length > this.#limits.ringMessagesMax ||
      (this.#bytes > this.#limits.ringBytesMax && this.#messages.length > 0)
    ) {
      this.#dropFirst();
    }
  }

  /** A push up to here was dropped: what lies before the end is to be read. */
  behind(end: number): void {
    if (end > this.end) this.end = end;
  }

  /** A late push goes into its hole; false where it is there already or too old for the ring. */
  #insert(message: Message, entry: QueueEntry): boolean {
    const index = this.#indexOf(entry.offset);
    if (this.#entries.at(index)?.offset === entry.offset) return false;
    if (index === 0) return false;
    this.#messages.insert(index, message);
    this.#entries.insert(index, entry);
    return true;
  }

  /** Index of the first entry at or past the offset; the length where there is none. */
  #indexOf(offset: number): number {
    const entries = this.#entries;
    const first = entries.at(0);
    if (first === undefined || offset <= first.offset) return 0;
    const guess = offset - first.offset;
    if (entries.at(guess)?.offset === offset) return guess;
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = entries.at(middle);
      if (entry !== undefined && entry.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): void {
    const message = this.#messages.shift();
    if (message !== undefined) this.#bytes -= message.heldBytes;
    this.#entries.shift();
  }

  /**
   * The next thing for a reader at this offset: the message, `end` if nothing newer is known here,
   * or `gap` if only the store knows.
   */
  at(next: number): Message | 'end' | 'gap' {
    if (next >= this.end) return 'end';
    const index = this.#indexOf(next);
    const entry = this.#entries.at(index);
    const message = this.#messages.at(index);
    if (entry === undefined || message === undefined) return 'gap';
    return entry.previous < next ? message : 'gap';
  }

  /**
   * Reads from the store, so many pages; readers that wait at one offset share the read. `sharers`:
   * how many such reads share the bytes of one.
   */
  load(from: number, reader: Reader, pages: number = 1, sharers: number = 1): void {
    this.#pending ??= new Map();
    const waiting = this.#pending.get(from);
    if (waiting !== undefined) {
      waiting.push(reader);
      return;
    }
    const readers = [reader];
    this.#pending.set(from, readers);
    const settle = (answer: ReadAnswer | undefined): void => {
      this.#pending?.delete(from);
      for (const each of readers) each.loaded(answer);
    };
    this.#readQueue({
      queue: this.queue,
      partition: this.partition,
      from,
      messagesMax: pages * this.#limits.readMessagesMax,
      bytesMax: Math.max(1, Math.floor(this.#limits.readBytesMax / sharers)),
    }).then(settle, () => settle(undefined));
  }

  /**
   * The first message here of a topic that may have come from another partition just now: what was
   * stored there before may be pushed later.
   */
  hasMovedHere({ topic, orderKey }: Message, offset: number): boolean {
    if (orderKey === undefined) return false;
    const { placement } = orderKey;
    if (!this.moves.isFresh(placement)) {
      this.#movedTopics = undefined;
      return false;
    }
    this.#movedTopics ??= new MovedTopics();
    return this.#movedTopics.isFirst(topic, placement, offset);
  }

  /** Lets go of what every reader has taken. */
  release(): void {
    if (this.#messages.length === 0) return;
    let least = Number.POSITIVE_INFINITY;
    for (const reader of this.readers) {
      if (reader.next < least) least = reader.next;
    }
    for (;;) {
      const entry = this.#entries.at(0);
      if (entry === undefined || entry.offset >= least) return;
      this.#dropFirst();
    }
  }

  /** Lets go of what was here at the call before: readers that lag so far read from the store. */
  ageOut(): void {
    for (;;) {
      const entry = this.#entries.at(0);
      if (entry === undefined || entry.offset >= this.#agedEnd) break;
      this.#dropFirst();
    }
    this.#agedEnd = this.end;
  }

  get ringMessages(): number {
    return this.#messages.length;
  }

  get ringBytes(): number {
    return this.#bytes;
  }
}
