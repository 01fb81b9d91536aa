import { isTime, offsetFound } from '@lmqtt/common/cursor';
import type { QueueEntry, Message } from '@lmqtt/common/message';
import type { GroupId, QueueId } from '@lmqtt/common/ids';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Place, Position, ReadAnswer, SubscriptionOptions } from '@lmqtt/proto/link';
import { Fifo } from '../fifo.ts';
import type { QueueFeed, Reader } from '../queue/feed.ts';
import type { Origin, Outstanding } from './window.ts';

/** Calls of a cursor on its session. */
export interface CursorOwner {
  /** Cursors of the session that have a page, or wait for one; kept by them. */
  pagesOpen: number;
  /** Something may be there to send. */
  ready(cursor: Cursor): void;
  /** The position moved. */
  moved(cursor: Cursor): void;
  /** The start was a time, and is an offset now. */
  startFound(cursor: Cursor): void;
  /** The queue of the subscription has that partition, too. */
  appeared(subscription: Subscription, partition: number): void;
  /** A message that is not stored. */
  deliverQos0(cursor: Cursor, message: Message): void;
}

/** Messages that are taken within this time count as taken at once. */
const soonMs = 50;
const pagesMax = 8;
/** After reads that failed the next waits, longer each time: the partition may be away for long. */
const retryMsMin = 50;
const retryMsMax = 1000;
/**
 * Longest wait while the partition is away for long, and between tries to turn a start by time into
 * an offset: every session of the node tries.
 */
const awayRetryMsMax = 10_000;
/** So many reads that failed one after the other, about half a minute: it is away for long. */
const awayFailures = 30;
/** So many, about half a second: it is away, and holds up no other partition. */
const failuresOfOneAway = 4;
/** Interval after which the store is asked again if something arrived meanwhile. */
const hurriedMs = 250;

/** How messages of a subscription go out. */
export interface Terms {
  readonly options: SubscriptionOptions;
  /** The options' subscription identifier as the list that PUBLISH takes. */
  readonly identifiers: readonly number[] | undefined;
}

/** A subscription as the session keeps it. */
export interface Subscription extends Terms {
  readonly filter: string;
  options: SubscriptionOptions;
  identifiers: readonly number[] | undefined;
  readonly queue: QueueId;
  /** Present where it is shared; then it has no cursors. */
  readonly group: GroupId | undefined;
  readonly cursors: Cursor[];
  /** Rights by which matching messages are judged; undefined: all of them may be read. */
  rights: ReadRights | undefined;
}

/**
 * A subscription's place in one partition of its queue. Messages below `position` are done with;
 * from there to `next` they are in flight or done; `next` is the first that was not looked at.
 * Below `start` nothing is owed. Where the partition could not be reached, start and next are a time
 * until a read has found the offset that it stands for.
 */
export class Cursor implements Reader, Origin {
  readonly subscription: Subscription;
  readonly feed: QueueFeed;
  start: number;
  next: number;
  /** In the session's list of cursors that may have something. */
  queued = false;
  /** The one behind it in that list; kept by the list. */
  behind: Cursor | undefined = undefined;
  /** The position moved and was not yet written. */
  dirty = false;
  /** The topic that was last found to match the filter: names share queues in some stores. */
  matchedTopic = '';
  readonly #owner: CursorOwner;
  #outstanding: Fifo<Outstanding> | undefined = undefined;
  #done: Set<number> | undefined = undefined;
  /** Terms that were replaced, and up to where they count; ascending. */
  #former: { readonly terms: Terms; readonly end: number }[] | undefined = undefined;
  #page: Message[] | undefined = undefined;
  #pageIndex = 0;
  #pageOpen = false;
  #loading = false;
  #loadedAtMs = Number.NEGATIVE_INFINITY;
  /** How many it asks for at once. */
  #pages = 1;
  /** Past this offset nothing was in the store when it was last asked. */
  #knownEnd = Number.POSITIVE_INFINITY;
  /** End of the store when it was last asked; Infinity: it was not. */
  #storeEnd = Number.POSITIVE_INFINITY;
  /** The read that is under way was asked for before something that it is to be compared with came. */
  #isStale = false;
  /** Set while others wait for the answer of one read, since the partition was away. */
  #isAsked = false;
  /** The other partitions were asked where they end, for all messages below. */
  #comparedTo = 0;
  closed = false;
  /** Set while the next read waits, since one has failed. */
  #retryTimer: NodeJS.Timeout | undefined = undefined;
  #retryMs = 0;
  #failures = 0;
  #writtenPosition: number;

  constructor(subscription: Subscription, feed: QueueFeed, state: Position, owner: CursorOwner) {
    this.subscription = subscription;
    this.feed = feed;
    this.#owner = owner;
    this.start = state.start;
    this.next = state.position;
    this.#writtenPosition = state.position;
    if (state.done.length > 0) this.#done = new Set(state.done);
    feed.readers.push(this);
  }

  /** The first offset that is not done with. */
  get position(): number {
    return this.#outstanding?.at(0)?.offset ?? this.next;
  }

  /** The position, to be written; undefined where it is the one that was written last. */
  takePosition(): number | undefined {
    const { position } = this;
    this.dirty = false;
    if (position === this.#writtenPosition) return undefined;
    this.#writtenPosition = position;
    return position;
  }

  /** Position of the cursor, for another ds; later writes come after that. */
  state(): Position {
    const { position, start } = this;
    const outstanding = this.#outstanding;
    const done: number[] = [];
    for (let index = 0; index < (outstanding?.length ?? 0); index++) {
      const each = outstanding?.at(index);
      if (each?.done === true) done.push(each.offset);
    }
    for (const offset of this.#done ?? []) {
      if (offset >= position) done.push(offset);
    }
    done.sort((a, b) => a - b);
    this.#writtenPosition = position;
    return { partition: this.feed.partition, start, position, done };
  }

  /** Messages stored below `end` go out by the terms that counted then [MQTT-3.8.4-3]. */
  replaced(terms: Terms, end: number): void {
    if (end > this.next) (this.#former ??= []).push({ terms, end });
  }

  /** Terms for the message at the offset; asked for in the order of offsets. */
  termsAt(offset: number): Terms {
    const former = this.#former;
    if (former === undefined) return this.subscription;
    while (former[0] !== undefined && former[0].end <= offset) former.shift();
    if (former.length === 0) this.#former = undefined;
    return former[0]?.terms ?? this.subscription;
  }

  /** Stored as done by an earlier connection. */
  wasDone(offset: number): boolean {
    return this.#done?.has(offset) === true;
  }

  /** Delivered by way of another queue: to be passed over when its turn comes. */
  markDone(offset: number): void {
    this.#done ??= new Set();
    this.#done.add(offset);
  }

  /** The next message; undefined: nothing now, and `arrived` or `loaded` comes when there is. */
  peek(): Message | undefined {
    if (this.#page !== undefined) {
      const message = this.#page[this.#pageIndex];
      if (message !== undefined) {
        this.#skipTo(message);
        return message;
      }
      this.#endPage();
    }
    if (this.#loading) return undefined;
    const found = this.feed.at(this.next);
    if (found === 'end' && this.next >= this.#knownEnd) return undefined;
    if (found === 'end' || found === 'gap') {
      this.#load();
      return undefined;
    }
    return found;
  }

  /** Nothing of the queue is before the next message of a page, whatever its previous offset is. */
  #skipTo(message: Message): void {
    const offset = this.entryOf(message)?.offset;
    if (offset === undefined || offset <= this.next || isTime(this.start)) return;
    this.next = offset;
    this.#owner.moved(this);
  }

  /**
   * Something that was stored before the message may be owed here: the message waits. A partition
   * that is away holds nobody up.
   */
  isBehind(message: Message): boolean {
    if (this.closed || this.#isAway) return false;
    const head = this.#head;
    if (head !== undefined) return isBefore(head, message);
    return this.next < Math.max(this.feed.end, this.#storeEnd);
  }

  /** Reads fail one after the other: one that fails alone may be late only. */
  get #isAway(): boolean {
    return !this.#isAsked && (isTime(this.start) || this.#failures >= failuresOfOneAway);
  }

  /**
   * The message's topic may have come here from another partition just now: what was stored there
   * before may be pushed later than this one, so that the store is asked.
   */
  compare(message: Message): void {
    const offset = this.entryOf(message)?.offset ?? -1;
    if (offset < this.#comparedTo || !this.feed.hasMovedHere(message, offset)) return;
    this.#comparedTo = Math.max(offset + 1, this.feed.end);
    for (const other of this.subscription.cursors) if (other !== this) other.#lookAgain();
  }

  /** Looks once more, at once where the partition was away: it may be back. */
  #lookAgain(): void {
    if (this.closed) return;
    if (this.#isAway) {
      this.#isAsked = true;
      clearTimeout(this.#retryTimer);
      this.#retryTimer = undefined;
    }
    this.#isStale = this.#loading;
    this.#knownEnd = Number.POSITIVE_INFINITY;
    this.#storeEnd = Number.POSITIVE_INFINITY;
    this.#owner.ready(this);
  }

  /** The next message, if it is here. */
  get #head(): Message | undefined {
    const page = this.#page;
    if (page !== undefined) return page[this.#pageIndex];
    const found = this.#loading ? undefined : this.feed.at(this.next);
    return typeof found === 'object' ? found : undefined;
  }

  /** A read that was asked for has not been answered, or failed and is tried again soon. */
  get waitsForRead(): boolean {
    return this.#loading || (this.#retryTimer !== undefined && !this.#isAway);
  }

  #load(): void {
    if (this.#retryTimer !== undefined) return;
    this.#loading = true;
    // A reader that takes all at once gets more at once, so that a backlog needs fewer reads.
    const isFast = this.feed.nowMs() - this.#loadedAtMs < soonMs;
    this.#pages = isFast ? Math.min(pagesMax, 2 * this.#pages) : 1;
    // A cursor's share shrinks with the number of cursors that have a page, because all pages stay
    // in memory for a client that takes nothing.
    this.feed.load(this.next, this, this.#pages, 1 + this.#owner.pagesOpen);
    this.#pageOpen = true;
    this.#owner.pagesOpen += 1;
  }

  #endPage(): void {
    this.#page = undefined;
    this.#pageIndex = 0;
    if (!this.#pageOpen || this.#loading) return;
    this.#pageOpen = false;
    this.#owner.pagesOpen -= 1;
  }

  loaded(answer: ReadAnswer | undefined): void {
    this.#loading = false;
    if (this.closed) return;
    if (answer === undefined) {
      this.#endPage();
      this.#readFailed();
      return;
    }
    if (this.#isUnread(answer)) {
      this.#endPage();
      this.#readFailed();
      return;
    }
    this.#retryMs = 0;
    this.#failures = 0;
    this.#take(answer);
    if (this.#page === undefined) this.#endPage();
    this.#owner.ready(this);
  }

  /**
   * The store has nothing where something was pushed: it was asked before that, or it has lost it
   * and is not to be asked again and again.
   */
  #isUnread({ messages, next }: ReadAnswer): boolean {
    if (messages.length > 0 || next > this.next || isTime(this.start)) return false;
    return this.feed.at(this.next) === 'gap';
  }

  #take(answer: ReadAnswer): void {
    const { queue, partition } = this.feed;
    if (isTime(this.start)) {
      this.start = offsetFound(answer, queue, partition);
      this.next = Math.max(this.next, this.start);
      this.#writtenPosition = this.start;
      this.#owner.startFound(this);
    }
    this.#knownEnd = this.#isStale ? Number.POSITIVE_INFINITY : answer.end;
    this.#isAsked &&= this.#isStale;
    this.#storeEnd = this.#knownEnd;
    this.#isStale = false;
    if (answer.messages.length > 0) {
      this.#loadedAtMs = this.feed.nowMs();
      this.#page = answer.messages;
      this.#pageIndex = 0;
      // Meanwhile it may have moved on, with a message that is in several queues.
      this.#passPage(this.next - 1);
    } else if (answer.next > this.next) {
      this.next = answer.next;
      this.#owner.moved(this);
    }
  }

  #readFailed(): void {
    const othersWait = this.#isAsked;
    this.#isAsked = false;
    this.#failures += 1;
    const isAway = isTime(this.start) || this.#failures > awayFailures;
    const msMax = isAway ? awayRetryMsMax : retryMsMax;
    const isFirst = this.#retryMs === 0;
    this.#retryMs = isFirst ? retryMsMin : Math.min(msMax, 2 * this.#retryMs);
    // Once it is tried at once: where ds is another one, that one answers.
    if (isFirst) {
      this.#owner.ready(this);
      return;
    }
    this.#retryAfter(this.#retryMs);
    // Messages that waited for it go on without it.
    if (othersWait || this.#failures === failuresOfOneAway) this.#owner.ready(this);
  }

  #retryAfter(ms: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      if (!this.closed) this.#owner.ready(this);
    }, ms);
    this.#retryTimer.unref();
  }

  arrived(): void {
    if (this.#retryTimer !== undefined && this.#retryMs > hurriedMs) {
      this.#retryMs = hurriedMs;
      this.#retryAfter(hurriedMs);
    }
    this.#owner.ready(this);
  }

  appeared(partition: number): void {
    this.#owner.appeared(this.subscription, partition);
  }

  passing(message: Message): void {
    this.#owner.deliverQos0(this, message);
  }

  /** Another ds pushes from now on: what it stored before is to be read. */
  readAnew(): void {
    if (this.closed) return;
    this.#knownEnd = Number.POSITIVE_INFINITY;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#retryMs = 0;
    this.#owner.ready(this);
  }

  recheck(): void {
    if (this.#loading || this.queued || this.closed) return;
    this.#knownEnd = Number.POSITIVE_INFINITY;
    this.#owner.ready(this);
  }

  /** The queue is known to reach to `end`. */
  catchUp(end: number): void {
    if (this.closed || this.next >= end) return;
    this.feed.behind(end);
    this.#owner.ready(this);
  }

  /** The message's place in this cursor's queue. */
  entryOf(message: Message): QueueEntry | undefined {
    const { queue, partition } = this.feed;
    for (const entry of message.entries) {
      if (entry.queue === queue && entry.partition === partition) return entry;
    }
    return undefined;
  }

  /** The place for which an identifier of the message at the offset stands. */
  placeOf(offset: number): Place {
    const { queue, partition } = this.feed;
    return { kind: 'queue', queue, partition, offset };
  }

  /** Moves over a message; where it is in flight, `outstanding` holds the position until done. */
  pass(offset: number, outstanding: Outstanding | undefined): void {
    // Something of it was in flight before, and nothing owed is before that.
    if (isTime(this.start)) this.start = offset;
    this.next = offset + 1;
    if (this.#page !== undefined) this.#passPage(offset);
    // Above the position it stays known as done, for whoever the session is presented to.
    if (this.#done !== undefined && this.position > offset) this.#done.delete(offset);
    if (outstanding === undefined) {
      this.#owner.moved(this);
      return;
    }
    this.#outstanding ??= new Fifo();
    this.#outstanding.push(outstanding);
  }

  #passPage(offset: number): void {
    const page = this.#page;
    while (page !== undefined) {
      const message = page[this.#pageIndex];
      if (message === undefined) {
        this.#endPage();
        return;
      }
      const entry = this.entryOf(message);
      if (entry !== undefined && entry.offset > offset) return;
      this.#pageIndex += 1;
    }
  }

  completed(outstanding: Outstanding): void {
    outstanding.done = true;
    const list = this.#outstanding;
    if (list?.at(0)?.done !== true) return;
    do list.shift();
    while (list.at(0)?.done === true);
    if (this.#done !== undefined) this.#forgetDone(this.#done);
    this.#owner.moved(this);
  }

  #forgetDone(done: Set<number>): void {
    const { position } = this;
    for (const offset of done) {
      if (offset < position) done.delete(offset);
    }
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.#retryTimer);
    const { readers } = this.feed;
    const index = readers.indexOf(this);
    const last = readers.pop();
    if (last !== undefined && index < readers.length) readers[index] = last;
    this.#loading = false;
    this.#endPage();
  }
}

/** Order of two messages of one topic: the placement decides, whatever the clocks of two brokers say. */
function isBefore(one: Message, other: Message): boolean {
  const placements = (one.orderKey?.placement ?? 0) - (other.orderKey?.placement ?? 0);
  if (placements !== 0 && (one.topic === other.topic || one.storedMs === other.storedMs))
    return placements < 0;
  return one.storedMs < other.storedMs;
}
