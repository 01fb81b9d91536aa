import type { QueueId } from '@lmqtt/common/ids';
import { inPortions } from '@lmqtt/common/in-portions';
import { isP2pFilter } from '@lmqtt/common/p2p';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { PartitionOffset, Position, SubscriptionState } from '@lmqtt/proto/session-state';
import type { QueueFeed } from '../queue/feed.ts';
import { SessionCursor } from './cursor.ts';
import type { CursorOwner, Subscription } from './cursor.ts';
import { JudgedFilters } from './judged-filters.ts';
import type { SessionNode } from './outbound-session.ts';

/** The session that has the subscriptions. */
interface SubscriptionsOwner extends CursorOwner {
  readonly node: SessionNode;
  readonly closed: boolean;
  /** Prefix of the topics of its client; '': none. */
  readonly mount: string;
}

/**
 * The subscriptions of one session, a cursor for each partition of their queues, and the rights to
 * read by which their messages are judged.
 */
export class SessionSubscriptions {
  /** By filter. */
  readonly all: Map<string, Subscription> = new Map();
  /** Rights of the client; undefined: everything may be read. */
  rights: ReadRights | undefined = undefined;
  readonly #session: SubscriptionsOwner;
  /** Subscriptions that are not shared, by their queue. */
  readonly #byQueue: Map<QueueId, Subscription> = new Map();

  constructor(session: SubscriptionsOwner) {
    this.#session = session;
  }

  /**
   * Adds a granted subscription, or changes the options of the one with its filter. `isAtEnd`: its
   * positions are the ends of its queue, and what was stored since then is pushed.
   */
  add(
    state: SubscriptionState,
    replacedAt: readonly PartitionOffset[],
    isAtEnd: boolean,
  ): Subscription {
    const { node } = this.#session;
    const identifier = state.options.subscriptionIdentifier;
    const identifiers = identifier === undefined ? undefined : [identifier];
    const present = this.all.get(state.filter);
    if (present !== undefined && present.queue === state.queue) {
      // [MQTT-3.8.4-3]: replaced, and its messages go on where they were.
      const former = { options: present.options, identifiers: present.identifiers };
      for (const { partition, offset } of replacedAt)
        this.cursorOf(present.queue, partition)?.replaced(former, offset);
      present.options = state.options;
      present.identifiers = identifiers;
      return present;
    }
    if (present !== undefined) this.#close(present);
    const subscription: Subscription = {
      filter: state.filter,
      options: state.options,
      queue: state.queue,
      group: state.group,
      cursors: [],
      identifiers,
      rights: this.#rightsFor(state.filter),
      mount: this.#session.mount,
    };
    this.all.set(state.filter, subscription);
    if (subscription.group === undefined) this.#byQueue.set(state.queue, subscription);
    // All feeds first: the partitions of a queue that is read here appear to all who read it.
    const feeds = state.positions.map(({ partition }) => node.feed(state.queue, partition));
    for (const [index, position] of state.positions.entries())
      this.#addCursor(subscription, feeds[index]!, position, isAtEnd);
    if (subscription.group === undefined)
      for (const each of node.partitionsOf(state.queue)) this.appeared(subscription, each);
    return subscription;
  }

  /**
   * Another partition of the subscription's queue is read from its beginning: those that were there
   * before have a position, or a time.
   */
  appeared(subscription: Subscription, partition: number): void {
    if (this.#session.closed) return;
    // The feed first: where it is new, it appears to this subscription, too.
    const feed = this.#session.node.feed(subscription.queue, partition);
    if (subscription.cursors.some((cursor) => cursor.feed === feed)) return;
    this.#addCursor(subscription, feed, { partition, start: 0, position: 0, done: [] }, false);
  }

  #addCursor(
    subscription: Subscription,
    feed: QueueFeed,
    position: Position,
    isAtEnd: boolean,
  ): void {
    const cursor = new SessionCursor(subscription, feed, position, this.#session);
    subscription.cursors.push(cursor);
    if (!isAtEnd || !cursor.beginsAtEnd()) this.#session.ready(cursor);
  }

  /** The subscription that was removed; undefined: there was none that a client may end. */
  remove(filter: string): Subscription | undefined {
    if (isP2pFilter(filter)) return undefined;
    const subscription = this.all.get(filter);
    if (subscription === undefined) return undefined;
    this.all.delete(filter);
    this.tell(filter, false, subscription);
    this.#close(subscription);
    return subscription;
  }

  /**
   * Whether positions of the subscription are told. They are kept by queue, so those of before
   * would be taken for the ones of a subscription that begins anew in the same queue.
   */
  tell(
    filter: string,
    isTold: boolean,
    subscription: Subscription | undefined = this.all.get(filter),
  ): void {
    for (const cursor of subscription?.cursors ?? []) cursor.isOver = !isTold;
  }

  #close(subscription: Subscription): void {
    if (subscription.group === undefined) this.#byQueue.delete(subscription.queue);
    this.#closeCursors(subscription);
  }

  #closeCursors({ cursors }: Subscription): void {
    for (const cursor of cursors) {
      cursor.close();
      this.#session.node.releaseFeed(cursor.feed);
    }
  }

  cursorOf(queue: QueueId, partition: number): SessionCursor | undefined {
    const subscription = this.#byQueue.get(queue);
    return subscription?.cursors.find((cursor) => cursor.feed.partition === partition);
  }

  /**
   * Rights count from the next message on, of whatever was stored before. `onNothing` is called in
   * this or a later turn where nothing is left that may be read.
   */
  allow(rights: ReadRights | undefined, onNothing?: () => void): void {
    const former = this.rights;
    this.rights = rights;
    if (rights === undefined && former === undefined) return;
    // Each message is judged, until it is known which subscriptions may be read whole.
    for (const subscription of this.all.values())
      if (!isP2pFilter(subscription.filter)) subscription.rights = rights;
    if (rights === undefined) return;
    const judged = new JudgedFilters(this.all.values(), rights, former);
    this.#judge(judged, onNothing);
  }

  /** The filters of many subscriptions are judged over some turns. */
  #judge(judged: JudgedFilters, onNothing: (() => void) | undefined): void {
    if (this.#session.closed || this.rights !== judged.rights) return;
    if (!judged.next()) setImmediate(() => this.#judge(judged, onNothing));
    else if (judged.lostAll) onNothing?.();
  }

  /** Messages to the client itself need no right to read. */
  #rightsFor(filter: string): ReadRights | undefined {
    if (isP2pFilter(filter)) return undefined;
    return this.rights?.of(filter) === 'all' ? undefined : this.rights;
  }

  /** The session is closed: the cursors of many subscriptions are let go over some turns. */
  end(): void {
    void inPortions([...this.all.values()], (subscription) => this.#closeCursors(subscription));
  }
}
