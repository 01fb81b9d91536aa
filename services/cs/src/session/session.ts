import type { ClientId, Epoch, QueueId, SessionHandle } from '@lmqtt/common/ids';
import { inPortions } from '@lmqtt/common/in-portions';
import type { Message } from '@lmqtt/common/message';
import { lowerQos } from '@lmqtt/common/qos';
import type { Receipts } from '@lmqtt/common/receipt';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { OutboundState, PartitionOffset, SubscriptionState } from '@lmqtt/proto/session-state';
import { Assigned } from './assigned.ts';
import type { SessionCursor, CursorOwner, Subscription } from './cursor.ts';
import { CursorQueue } from './cursor-queue.ts';
import { match } from './match.ts';
import { advanceOverlapping, join } from './overlap.ts';
import type { OutboundSession, SessionNode } from './outbound-session.ts';
import type { Outlet } from './outlet.ts';
import { Redelivery } from './redelivery.ts';
import { RetainedRuns } from './retained-runs.ts';
import { expired, hasRoom, putInFlight, send, sendQos0 } from './sending.ts';
import { SessionSubscriptions } from './session-subscriptions.ts';
import { tellExpired } from './undelivered.ts';
import { Window } from './window.ts';

/**
 * Cursors of one session that come to their end in one turn of the event loop, since each may ask
 * for a read.
 */
const cursorsPerTurn = 256;

interface SessionOptions {
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  /** Outlives its connection, so what it sends is stored first (QoS 2) or soon after (QoS 1). */
  readonly persistent: boolean;
  readonly windowSize: number;
  /** Prefix of the topics of its client; absent: none. */
  readonly mount?: string;
}

/**
 * The outbound half of a session: its subscriptions, and which message goes out next: what was in
 * flight before, messages of groups, retained ones, live ones of the cursors, each as far as window
 * and write buffer allow. It knows nothing of packets on the wire; bytes leave through the outlet.
 *
 * Invariants
 * - A cursor that has something is in the list of those that are pumped, once; a session that has
 *   something is pumped, or waits for room, for the outlet or for an answer of ds.
 * - A message that is in several queues of the session goes out once, when it is next in all.
 */
export class Session implements CursorOwner, OutboundSession {
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly persistent: boolean;
  readonly mount: string;
  readonly window: Window;
  readonly node: SessionNode;
  readonly outlet: Outlet;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  receipts: Receipts | undefined = undefined;
  /** In the list of those that the turn pumps. */
  scheduled = false;
  /** Mark of the last QoS 0 message that was looked at. */
  lastMark = 0;
  pagesOpen = 0;
  closed = false;
  /** How often a cursor waited for an earlier message of another one; −1: none does. */
  #early = 0;
  /** Set while its subscriptions are taken over: nothing is sent, and nothing taken of groups. */
  #preparing = false;
  readonly #own: SessionSubscriptions;
  readonly #queued: CursorQueue = new CursorQueue();
  #assigned: Assigned | undefined = undefined;
  #retained: RetainedRuns | undefined = undefined;
  #redelivery: Redelivery | undefined = undefined;

  constructor(options: SessionOptions, node: SessionNode, outlet: Outlet) {
    this.handle = options.handle;
    this.clientId = options.clientId;
    this.epoch = options.epoch;
    this.persistent = options.persistent;
    this.mount = options.mount ?? '';
    this.window = new Window(options.windowSize);
    this.node = node;
    this.outlet = outlet;
    this.#own = new SessionSubscriptions(this);
    this.subscriptions = this.#own.all;
  }

  /** Nothing leaves before `begin`. */
  prepare(): void {
    this.#preparing = true;
    this.scheduled = true;
  }

  begin(): void {
    this.#preparing = false;
    this.scheduled = false;
    if (this.#assigned !== undefined) this.node.credit(this);
    this.wake();
  }

  // Subscriptions

  /** {@link SessionSubscriptions.add}. */
  subscribe(
    state: SubscriptionState,
    replacedAt: readonly PartitionOffset[] = [],
    isAtEnd = false,
  ): Subscription {
    const former = this.subscriptions.get(state.filter);
    const subscription = this.#own.add(state, replacedAt, isAtEnd);
    if (subscription !== former && subscription.group !== undefined) {
      this.#assigned ??= new Assigned(this);
      if (!this.#preparing) this.node.credit(this);
    }
    return subscription;
  }

  appeared(subscription: Subscription, partition: number): void {
    this.#own.appeared(subscription, partition);
  }

  get rights(): ReadRights | undefined {
    return this.#own.rights;
  }

  /**
   * Counts from the next message on, of whatever was stored before. `onNothing` is called in this or
   * a later turn where nothing is left that may be read.
   */
  allow(rights: ReadRights | undefined, onNothing?: () => void): void {
    this.#own.allow(rights, onNothing);
  }

  /** Begins to send the retained messages of a subscription, from after a topic on. */
  sendRetained(subscription: Subscription, after: string): void {
    this.#retained ??= new RetainedRuns(this);
    this.#retained.add(subscription, after);
    this.node.schedule(this);
  }

  /** Ends a subscription of the client's choice; that to its own queue stays. */
  unsubscribe(filter: string): void {
    const subscription = this.#own.remove(filter);
    if (subscription !== undefined) this.#retained?.drop(subscription);
  }

  /** Whether positions of the filter's subscription are told: not while it is to begin anew. */
  tellPositions(filter: string, isTold: boolean): void {
    this.#own.tell(filter, isTold);
  }

  cursorOf(queue: QueueId, partition: number): SessionCursor | undefined {
    return this.#own.cursorOf(queue, partition);
  }

  // Calls of cursors

  ready(cursor: SessionCursor): void {
    if (!cursor.queued) {
      cursor.queued = true;
      this.#queued.push(cursor);
    }
    if (!this.scheduled) this.node.schedule(this);
  }

  /** Written before anything that follows from it, since what is written first is the start. */
  startFound(cursor: SessionCursor): void {
    const { queue, partition } = cursor.feed;
    const { handle: session } = this;
    const position = cursor.start;
    this.node.journal.write({ kind: 'position', session, queue, partition, position });
  }

  moved(cursor: SessionCursor): void {
    if (!cursor.dirty) this.node.positionMoved(this, cursor);
  }

  // Sending

  /** After a reconnect: what was in flight goes out again first, in its order [MQTT-4.6.0-1]. */
  redeliver(outbound: readonly OutboundState[]): void {
    if (outbound.length === 0) return;
    this.#redelivery = new Redelivery(this, outbound);
    this.node.schedule(this);
  }

  /** Sends all that may be sent now. */
  pump(): void {
    this.scheduled = false;
    if (this.closed) return;
    if (this.#redelivery !== undefined) {
      if (!this.#redelivery.pump()) return;
      if (this.#redelivery.isOver) this.#redelivery = undefined;
    }
    this.#assigned?.pump();
    for (;;) {
      if (this.#retained?.pump() === true) this.#retained = undefined;
      this.#pumpCursors();
      if (this.#retained?.released !== true) return;
    }
  }

  /**
   * Partitions of a queue are put in order by the time at which the store took a message: a topic
   * may have moved from one to another. Where all wait for each other, since a clock was set back,
   * they do not.
   */
  #pumpCursors(): void {
    this.#early = 0;
    const isWhole = this.#advanceCursors();
    if (!isWhole || this.#early === 0 || !hasRoom(this) || this.#waitsForRead) return;
    this.#early = -1;
    this.#advanceCursors();
  }

  get #waitsForRead(): boolean {
    for (const { cursors } of this.subscriptions.values())
      if (cursors.some((cursor) => cursor.waitsForRead)) return true;
    return false;
  }

  /** Another partition of its queue may have something that was stored earlier. */
  #isEarly(cursor: SessionCursor, message: Message): boolean {
    const { storedMs } = message;
    if (storedMs === 0 || this.#early < 0) return false;
    cursor.compare(message);
    for (const other of cursor.subscription.cursors) {
      if (!other.isBehind(message) || this.#redelivery?.holds(other.feed.partition)) continue;
      this.#early += 1;
      return true;
    }
    return false;
  }

  /** False: not all were looked at, since the rest has its turn later. */
  #advanceCursors(): boolean {
    const queued = this.#queued;
    let stuck = 0;
    let empty = 0;
    while (queued.length > stuck) {
      const cursor = queued.first;
      if (cursor === undefined || !this.outlet.writable) return true;
      const before = cursor.next;
      const why = cursor.closed ? 'empty' : this.#advance(cursor);
      if (why === 'unwritable') return true;
      queued.shift();
      if (why === 'empty') {
        cursor.queued = false;
        empty += 1;
        if (empty >= cursorsPerTurn && queued.length > 0) {
          setImmediate(() => this.wake());
          return false;
        }
      } else {
        // The cursor waits for the window or for another cursor; others may have what needs
        // neither.
        queued.push(cursor);
      }
      stuck = why === 'empty' || cursor.next !== before ? 0 : stuck + 1;
    }
    return true;
  }

  /** Sends of one cursor what can be sent. */
  #advance(cursor: SessionCursor): 'empty' | 'unwritable' | 'waits' {
    const { subscription } = cursor;
    for (;;) {
      const message = cursor.peek();
      if (message === undefined) return 'empty';
      if (!this.outlet.writable) return 'unwritable';
      if (this.#redelivery?.holds(cursor.feed.partition) === true) return 'waits';
      if (subscription.cursors.length > 1 && this.#isEarly(cursor, message)) return 'waits';
      if (message.entries.length > 1 && this.subscriptions.size > 1) {
        if (advanceOverlapping(this, cursor, message) === 'waits') return 'waits';
        continue;
      }
      const entry = message.entries[0];
      const own =
        entry !== undefined && entry.queue === cursor.feed.queue ? entry : cursor.entryOf(message);
      if (own === undefined) throw new Error('a message in a queue does not name the queue');
      const terms = cursor.termsAt(own.offset);
      const { options, identifiers } = terms;
      if (!match(cursor, terms, message, this.clientId) || cursor.wasDone(own.offset)) {
        cursor.pass(own.offset, undefined);
        continue;
      }
      const qos = lowerQos(message.qos, options.qos);
      if (qos > 0 && !hasRoom(this)) return 'waits';
      const retain = options.retainAsPublished && message.retain;
      if (qos === 0 || expired(this, message)) {
        if (qos > 0) tellExpired(this, cursor.feed, own.offset, subscription.filter);
        cursor.pass(own.offset, undefined);
        if (sendQos0(this, message, retain, identifiers)) this.wentOut(message);
        continue;
      }
      const place = this.persistent ? cursor.placeOf(own.offset) : undefined;
      const inflight = putInFlight(this, qos, place, own.offset, cursor, subscription.filter);
      cursor.pass(own.offset, inflight);
      send(this, inflight, message, retain, identifiers);
      this.wentOut(message);
    }
  }

  /** A live message that is not stored: now or never. */
  deliverQos0(cursor: SessionCursor, message: Message): void {
    if (this.#preparing || this.closed) return;
    const { subscription } = cursor;
    const { entries } = message;
    if (entries.length === 1 || this.subscriptions.size === 1) {
      if (!match(cursor, subscription, message, this.clientId)) return;
      const retain = subscription.options.retainAsPublished && message.retain;
      if (this.#retained === undefined) sendQos0(this, message, retain, subscription.identifiers);
      else this.#passOn(message, retain, subscription.identifiers);
      return;
    }
    if (this.lastMark === message.mark) return;
    this.lastMark = message.mark;
    const wanting = entries.flatMap(({ queue, partition }) => {
      const own = this.cursorOf(queue, partition);
      return own === undefined ? [] : { cursor: own, terms: own.subscription };
    });
    const { wanted, retain, identifiers } = join(wanting, message, this.clientId);
    if (wanted) this.#passOn(message, retain, identifiers);
  }

  #passOn(message: Message, retain: boolean, identifiers: readonly number[] | undefined): void {
    const sent = sendQos0(this, message, retain, identifiers);
    if (this.#retained === undefined) return;
    if (sent) this.#retained.wentOut(message);
    else this.#retained.dropped();
  }

  /** True while messages that were in flight on the previous connection go out again. */
  get redelivers(): boolean {
    return this.#redelivery !== undefined;
  }

  wentOut(message: Message): void {
    this.#retained?.wentOut(message);
  }

  isOutrun(retained: Message): boolean {
    return this.#retained?.isOutrun(retained) === true;
  }

  assign(assignment: Assignment): void {
    this.#assigned ??= new Assigned(this);
    this.#assigned.push(assignment);
    if (!this.scheduled) this.node.schedule(this);
  }

  fence(fence: GroupFence): void {
    this.#assigned ??= new Assigned(this);
    this.#assigned.fence(fence);
  }

  takeCredit(): number | undefined {
    return this.#assigned?.takeCredit();
  }

  completed(): void {
    if (this.#assigned !== undefined) this.node.credit(this);
    this.wake();
  }

  get #waits(): boolean {
    return (
      this.#queued.length > 0 ||
      this.#redelivery !== undefined ||
      this.#retained !== undefined ||
      (this.#assigned !== undefined && this.#assigned.count > 0)
    );
  }

  // Another ds

  /** After which topic retained messages are owed; undefined: none are. */
  retainedAfter(subscription: Subscription): string | undefined {
    return this.#retained?.sentAfter(subscription);
  }

  /** It was presented: what groups gave and what did not go out is given again. */
  presented(): void {
    this.#assigned?.startAnew();
  }

  /** The ds that it was presented to has it: many subscriptions read anew over some turns. */
  goOn(): void {
    void inPortions([...this.subscriptions.values()], ({ cursors }) => {
      for (const cursor of cursors) cursor.readAnew();
    });
    this.#assigned?.announceAnew();
    this.wake();
  }

  /** The outlet takes again. */
  wake(): void {
    if (!this.scheduled && this.#waits) this.node.schedule(this);
  }

  /** The connection ended. What is stored goes on with the next one. */
  end(): void {
    this.closed = true;
    this.#own.end();
  }
}
