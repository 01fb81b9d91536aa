import { isTime, offsetFound } from '@lmqtt/common/cursor';
import type { QueueEntry, Message } from '@lmqtt/common/message';
import type { GroupId, QueueId } from '@lmqtt/common/ids';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { ReadAnswer } from '@lmqtt/proto/link';
import type { Place, Position, SubscriptionOptions } from '@lmqtt/proto/session-state';
import type { QueueFeed, Reader } from '../queue/feed.ts';
import { FailedReads } from './failed-reads.ts';
import { OpenOffsets } from './open-offsets.ts';
import { isBefore } from '@lmqtt/common/stored-order';
import { FormerTerms, type Terms } from './terms.ts';
import type { Origin, Outstanding } from './window.ts';

/** Calls of a cursor on its session. */
export interface CursorOwner {
  /** Cursors of the session that have a page, or wait for one; kept by them. */
  pagesOpen: number;
  /** Something may be there to send. */
  ready(cursor: SessionCursor): void;
  /** The position moved. */
  moved(cursor: SessionCursor): void;
  /** The start was a time, and is an offset now. */
  startFound(cursor: SessionCursor): void;
  /** The queue of the subscription has that partition, too. */
  appeared(subscription: Subscription, partition: number): void;
  /** A message that is not stored. */
  deliverQos0(cursor: SessionCursor, message: Message): void;
}

/** Messages that are taken within this time count as taken at once. */
const soonMs = 50;
const pagesMax = 8;
/** A subscription as the session keeps it. */
export interface Subscription extends Terms {
  readonly filter: string;
  options: SubscriptionOptions;
  identifiers: readonly number[] | undefined;
  readonly queue: QueueId;
  /** Present where it is shared; then it has no cursors. */
  readonly group: GroupId | undefined;
  readonly cursors: SessionCursor[];
  /** Rights by which matching messages are judged; undefined: all of them may be read. */
  rights: ReadRights | undefined;
  /** Prefix of the topics of its client; empty: none. */
  readonly mount: string;
}

/**
 * A subscription's place in one partition of its queue. Messages below `position` are done with;
 * from there to `next` they are in flight or done; `next` is the first that was not looked at.
 * Below `start` nothing is owed. Where the partition could not be reached, start and next are a time
 * until a read has found the offset that it stands for.
 */
export class SessionCursor implements Reader, Origin {
  readonly subscription: Subscription;
  readonly feed: QueueFeed;
  start: number;
  next: number;
  /** In the session's list of cursors that may have something. */
  queued = false;
  /** The one behind it in that list; kept by the list. */
  behind: SessionCursor | undefined = undefined;
  /** The position moved and was not yet written. */
  dirty = false;
  /** The topic that was last found to match the filter: names share queues in some stores. */
  matchedTopic = '';
  readonly #owner: CursorOwner;
  /** Undefined until something is in flight, or was done with out of turn. */
  #open: OpenOffsets | undefined = undefined;
  #former: FormerTerms | undefined = undefined;
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
  /** The position is told no more: at ds the subscription is over, or about to be. */
  isOver = false;
  /** Undefined while the last read was answered. */
  #failed: FailedReads | undefined = undefined;
  #writtenPosition: number;

  constructor(subscription: Subscription, feed: QueueFeed, state: Position, owner: CursorOwner) {
    this.subscription = subscription;
    this.feed = feed;
    this.#owner = owner;
    this.start = state.start;
    this.next = state.position;
    this.#writtenPosition = state.position;
    if (state.done.length > 0) this.#open = new OpenOffsets(state.done);
    feed.readers.push(this);
  }

  /**
   * Nothing is asked for until something is pushed: whatever is stored from the position on is.
   * False: something is known to be there, or the position is no offset yet.
   */
  beginsAtEnd(): boolean {
    if (isTime(this.start) || this.next < this.feed.end) return false;
    this.#knownEnd = this.next;
    this.#storeEnd = this.next;
    return true;
  }

  /** The first offset that is not done with. */
  get position(): number {
    return this.#open?.first ?? this.next;
  }

  /** The position, to be written; undefined where it is the one that was written last. */
  takePosition(): number | undefined {
    const { position } = this;
    this.dirty = false;
    if (this.isOver || position === this.#writtenPosition) return undefined;
    this.#writtenPosition = position;
    return position;
  }

  /** Position of the cursor, for another ds; later writes come after that. */
  state(): Position {
    const { position, start } = this;
    this.#writtenPosition = position;
    const done = this.#open?.doneFrom(position) ?? [];
    return { partition: this.feed.partition, start, position, done };
  }

  /** Messages stored below `end` go out by the terms that counted then [MQTT-3.8.4-3]. */
  replaced(terms: Terms, end: number): void {
    if (end > this.next) (this.#former ??= new FormerTerms()).push(terms, end);
  }

  /** Terms for the message at the offset; asked for in the order of offsets. */
  termsAt(offset: number): Terms {
    if (this.#former === undefined) return this.subscription;
    const former = this.#former.at(offset);
    if (former === undefined) this.#former = undefined;
    return former ?? this.subscription;
  }

  /** Stored as done by an earlier connection. */
  wasDone(offset: number): boolean {
    return this.#open?.isDone(offset) === true;
  }

  /** Delivered by way of another queue: to be passed over when its turn comes. */
  markDone(offset: number): void {
    this.#open ??= new OpenOffsets();
    this.#open.markDone(offset);
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
    return !this.#isAsked && (isTime(this.start) || this.#failed?.areMany === true);
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
      this.#failed?.stopWaiting();
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
    return this.#loading || (this.#failed?.waits === true && !this.#isAway);
  }

  #load(): void {
    if (this.#failed?.waits === true) return;
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
    if (answer === undefined || this.#isUnread(answer)) {
      this.#endPage();
      this.#readFailed();
      return;
    }
    this.#failed?.stopWaiting();
    this.#failed = undefined;
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
    this.#failed ??= new FailedReads(() => this.#ready());
    const outcome = this.#failed.another(isTime(this.start));
    // Messages that waited for it go on without it.
    if (othersWait || outcome !== 'waits') this.#owner.ready(this);
  }

  #ready(): void {
    if (!this.closed) this.#owner.ready(this);
  }

  arrived(): void {
    this.#failed?.hurry();
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
    this.#failed?.startAnew();
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
    this.#open?.passed(offset, this.next);
    if (outstanding === undefined) this.#owner.moved(this);
    else (this.#open ??= new OpenOffsets()).push(outstanding);
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
    if (this.#open?.shiftDone(this.next) === true) this.#owner.moved(this);
  }

  close(): void {
    this.closed = true;
    this.#failed?.stopWaiting();
    const { readers } = this.feed;
    const index = readers.indexOf(this);
    const last = readers.pop();
    if (last !== undefined && index < readers.length) readers[index] = last;
    this.#loading = false;
    this.#endPage();
  }
}
