import type { QueueId } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import { QueueFeed } from './feed.ts';
import type { FeedLimits, Now, ReadQueue } from './feed.ts';
import { TopicMoves } from './topic-moves.ts';
import { UnreadQueues } from './unread-queues.ts';

const partitionsMax = 1024;

/**
 * The queues that somebody at this node reads, by queue and partition.
 *
 * Invariant: whoever reads one partition of a queue reads all that are known here. A partition that
 * appears later is known by its first push, by a push that was dropped, or by another reader.
 */
export class Feeds {
  readonly #limits: FeedLimits;
  readonly #readQueue: ReadQueue;
  readonly #nowMs: Now;
  readonly #moves: TopicMoves;
  readonly #feeds: Map<number, QueueFeed> = new Map();
  /** Partitions that any queue has ever had at this node. */
  readonly #partitions: number[] = [];
  #touched: QueueFeed[] = [];
  #releasable: QueueFeed[] = [];
  readonly #lagging: Set<QueueFeed> = new Set();
  readonly unread: UnreadQueues = new UnreadQueues();
  /** The feed that was found last: most messages come many at a time for one queue. */
  #last: QueueFeed | undefined = undefined;

  constructor(limits: FeedLimits, readQueue: ReadQueue, nowMs: Now) {
    this.#nowMs = nowMs;
    this.#moves = new TopicMoves(nowMs);
    this.#limits = limits;
    this.#readQueue = readQueue;
  }

  of(queue: QueueId, partition: number): QueueFeed {
    const key = queue * partitionsMax + partition;
    const present = this.#feeds.get(key);
    if (present !== undefined) return present;
    const limits = this.#limits;
    const readQueue = this.#readQueue;
    const nowMs = this.#nowMs;
    const moves = this.#moves;
    const feed = new QueueFeed(queue, partition, limits, readQueue, nowMs, moves);
    this.#feeds.set(key, feed);
    if (!this.#partitions.includes(partition)) this.#partitions.push(partition);
    this.#appeared(queue, partition);
    return feed;
  }

  /** The partitions of the queue that somebody here reads. */
  partitionsOf(queue: QueueId): number[] {
    return this.#partitions.filter((each) => this.#feeds.has(queue * partitionsMax + each));
  }

  dropUnread(feed: QueueFeed): void {
    if (feed.readers.length > 0) return;
    if (this.#last === feed) this.#last = undefined;
    const key = feed.queue * partitionsMax + feed.partition;
    if (this.#feeds.get(key) === feed) this.#feeds.delete(key);
    // Another session that takes the queue over may be owed what its reader did not take.
    if (feed.end > 0) this.unread.add(feed.queue);
  }

  #find(queue: QueueId, partition: number): QueueFeed | undefined {
    const last = this.#last;
    if (last !== undefined && last.queue === queue && last.partition === partition) return last;
    const found = this.#feeds.get(queue * partitionsMax + partition);
    if (found !== undefined) this.#last = found;
    return found;
  }

  push(message: Message, entry: QueueEntry): void {
    const { queue, partition } = entry;
    const feed = this.#find(queue, partition) ?? this.#appeared(queue, partition);
    if (feed === undefined) {
      this.unread.add(queue);
      return;
    }
    feed.push(message, entry);
    if (!feed.touched) this.#touch(feed);
  }

  /** Pushes were dropped. */
  behind(queue: QueueId, partition: number, end: number): void {
    const feed = this.#find(queue, partition) ?? this.#appeared(queue, partition);
    if (feed === undefined) {
      this.unread.add(queue);
      return;
    }
    feed.behind(end);
    this.#touch(feed);
  }

  /** Readers of the queue read the partition from now on; undefined: the queue has none. */
  #appeared(queue: QueueId, partition: number): QueueFeed | undefined {
    for (const other of this.#partitions) {
      if (other === partition) continue;
      const feed = this.#feeds.get(queue * partitionsMax + other);
      if (feed === undefined) continue;
      for (const reader of [...feed.readers]) reader.appeared(partition);
    }
    return this.#feeds.get(queue * partitionsMax + partition);
  }

  #touch(feed: QueueFeed): void {
    if (feed.touched) return;
    feed.touched = true;
    this.#touched.push(feed);
  }

  /** A message that is not stored goes to every reader at once. */
  deliverQos0(message: Message, entry: QueueEntry): void {
    const feed = this.#find(entry.queue, entry.partition);
    if (feed === undefined) return;
    for (const reader of feed.readers) reader.passing(message);
  }

  /** Wakes the readers of what was pushed. */
  arrived(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    for (const feed of touched) {
      feed.touched = false;
      for (const reader of feed.readers) reader.arrived();
      this.#releasable.push(feed);
    }
  }

  /** At the end of a turn: what all readers have taken goes. */
  release(): void {
    if (this.#releasable.length === 0) return;
    const feeds = this.#releasable;
    this.#releasable = [];
    for (const feed of feeds) {
      feed.release();
      if (feed.ringMessages > 0) this.#lagging.add(feed);
    }
  }

  /**
   * The slow round: lets go of what laggards keep in memory, and asks some readers to look into
   * the store, in case a push was lost: a queue that moves shows a loss by itself. Answers where
   * the next round begins.
   */
  recheck(from: number, readersMax: number): number {
    for (const feed of this.#lagging) {
      feed.release();
      feed.ageOut();
      if (feed.ringMessages === 0) this.#lagging.delete(feed);
    }
    let index = 0;
    let left = readersMax;
    for (const feed of this.#feeds.values()) {
      index += 1;
      if (index <= from) continue;
      if (feed.checkedEnd === feed.end) for (const reader of feed.readers) reader.recheck();
      feed.checkedEnd = feed.end;
      left -= feed.readers.length;
      if (left <= 0) return index;
    }
    return 0;
  }

  *figures(): Iterable<readonly [string, number]> {
    let messages = 0;
    let bytes = 0;
    for (const feed of this.#feeds.values()) {
      messages += feed.ringMessages;
      bytes += feed.ringBytes;
    }
    yield ['queues', this.#feeds.size];
    yield ['messages', messages];
    yield ['bytes', bytes];
  }
}
