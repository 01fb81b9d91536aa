import type { ClientId, Epoch, GroupId, QueueId } from '@lmqtt/common/ids';
import type { Will } from '@lmqtt/proto/link';
import type {
  OutboundState,
  Place,
  SessionState,
  SubscriptionOptions,
  SubscriptionState,
} from '@lmqtt/proto/session-state';
import { type Cursor, cursorOf } from '@lmqtt/common/cursor';
import { isP2pFilter } from '@lmqtt/common/p2p';
import { CountedKinds } from './filter-kinds.ts';
import type { Intent } from '../queue-store/intents.ts';

/** The expiry that means "never". */
export const neverS = 0xffff_ffff;

/** A subscription and how far it has come; the mutable form of the link's. */
export interface StoredSubscription {
  readonly filter: string;
  options: SubscriptionOptions;
  readonly group: GroupId | undefined;
  readonly queue: QueueId;
  readonly cursors: Cursor[];
  retainedAfter: string | undefined;
  /** Not stored: a connected session has it, and its node wants the queue's messages. */
  live: boolean;
}

/**
 * Owner of a session: a verified user name, and behind U+0000 its account, where it has one; null:
 * anonymous clients, who count as one user of its own, whatever names they give.
 */
export type SessionUser = string | null;

/** A will and who left it; the principal is opaque to the store. */
export interface StoredWill {
  readonly clientId: ClientId;
  readonly will: Will;
  readonly principal: unknown;
}

/** Two accounts of one name: the later one is there because the earlier one is gone. */
export function isSameName(one: SessionUser, other: SessionUser): boolean {
  return nameOf(one) === nameOf(other);
}

function nameOf(user: SessionUser): string | null {
  return user?.split('\0', 1)[0] ?? null;
}

const noSubscriptions: StoredSubscription[] = [];
const noIntents: readonly Intent[] = [];
const indexedMin = 16;

/**
 * The stored state of a session. It hides that containers are made when first needed (most sessions
 * have one subscription and nothing in flight). Every change has the form "this is so now", so that
 * a change applied twice is applied once.
 */
export class StoredSession {
  /** The store's own name for it; shorter than the client identifier. */
  readonly number: number;
  readonly clientId: ClientId;
  /** Epoch of the claim that made it. */
  readonly madeEpoch: Epoch;
  epoch: Epoch;
  /**
   * The user of the claim that made it, the same for as long as the session is there, connected or
   * not. undefined: it was stored by a version without users; the next claim's user has it.
   */
  user: SessionUser | undefined = undefined;
  /** As granted, in seconds; 0: it ends with its connection. */
  sessionExpiryS: number;
  connected = false;
  /** While absent: the store's time at which it ends; 0: never. */
  expiresAtMs = 0;
  /** The store's number of the will that its connection left or may leave; 0: none. */
  will = 0;
  /** The store's own: there is a record of it, and it changed since the last checkpoint. */
  stored = false;
  changed = false;
  /** The store's own: when its expiry is looked at next; 0: no time is set. */
  timerAtMs = 0;
  /** Messages that it was owed and did not get: a limit was reached. Counted since the start. */
  lost = 0;
  /** Set by the store when the session is no more. */
  removed = false;
  /** Inbound QoS 2 publishes of which it is not known whether they were stored. */
  intents: readonly Intent[] = noIntents;
  #subscriptions: StoredSubscription[] = noSubscriptions;
  #byFilter: Map<string, StoredSubscription> | undefined = undefined;
  /** Subscriptions that are not shared, by queue; only where there are many. */
  #byQueue: Map<QueueId, StoredSubscription> | undefined = undefined;
  /** Kinds of the same filters. */
  #kinds: CountedKinds | undefined = undefined;
  #filterBytes = 0;
  #hasOwnQueue = false;
  #outbound: Map<number, OutboundState> | undefined = undefined;
  #inbound: Set<number> | undefined = undefined;

  constructor(number: number, clientId: ClientId, madeEpoch: Epoch, sessionExpiryS: number) {
    this.number = number;
    this.clientId = clientId;
    this.madeEpoch = madeEpoch;
    this.epoch = madeEpoch;
    this.sessionExpiryS = sessionExpiryS;
  }

  isOf(user: SessionUser): boolean {
    return this.user === undefined || this.user === user;
  }

  get persistent(): boolean {
    return this.sessionExpiryS > 0;
  }

  get subscriptions(): readonly StoredSubscription[] {
    return this.#subscriptions;
  }

  /** Subscriptions that its client has asked for, without the one on the client's own queue. */
  get askedCount(): number {
    return this.#subscriptions.length - (this.#hasOwnQueue ? 1 : 0);
  }

  /** Bytes of the filters of all subscriptions that its client has asked for. */
  get filterBytes(): number {
    return this.#filterBytes;
  }

  /** Kinds of the filters of all subscriptions; a copy, to which planned ones can be added. */
  kinds(): CountedKinds {
    return this.#kinds?.copy() ?? kindsOf(this.#subscriptions);
  }

  get outboundCount(): number {
    return this.#outbound?.size ?? 0;
  }

  get outbound(): Iterable<OutboundState> {
    return this.#outbound?.values() ?? [];
  }

  get inbound(): Iterable<number> {
    return this.#inbound ?? [];
  }

  subscription(filter: string): StoredSubscription | undefined {
    if (this.#byFilter !== undefined) return this.#byFilter.get(filter);
    for (const subscription of this.#subscriptions)
      if (subscription.filter === filter) return subscription;
    return undefined;
  }

  putSubscription(subscription: StoredSubscription): void {
    const known = this.subscription(subscription.filter);
    const isOwnQueue = isP2pFilter(subscription.filter);
    if (isOwnQueue) this.#hasOwnQueue = true;
    else if (known === undefined) this.#filterBytes += Buffer.byteLength(subscription.filter);
    if (known !== undefined) this.#forgetQueue(known);
    // A literal takes room for one; an empty array that is pushed to, for many.
    if (this.#subscriptions.length === 0) this.#subscriptions = [subscription];
    else if (known === undefined) this.#subscriptions.push(subscription);
    else this.#subscriptions[this.#subscriptions.indexOf(known)] = subscription;
    if (this.#byFilter !== undefined) this.#byFilter.set(subscription.filter, subscription);
    else if (this.#subscriptions.length >= indexedMin)
      this.#byFilter = new Map(this.#subscriptions.map((one) => [one.filter, one]));
    if (this.#byQueue !== undefined) this.#noteQueue(subscription);
    else if (this.#byFilter !== undefined) {
      this.#byQueue = new Map();
      for (const one of this.#subscriptions) this.#noteQueue(one);
    }
    if (this.#byFilter === undefined) return;
    if (this.#kinds === undefined) this.#kinds = kindsOf(this.#subscriptions);
    else if (known === undefined && !isOwnQueue) this.#kinds.add(subscription.filter);
  }

  #noteQueue(subscription: StoredSubscription): void {
    if (subscription.group === undefined) this.#byQueue?.set(subscription.queue, subscription);
  }

  #forgetQueue(subscription: StoredSubscription): void {
    const { queue } = subscription;
    if (this.#byQueue?.get(queue) === subscription) this.#byQueue.delete(queue);
  }

  /** The subscription on a queue that is not shared: a queue stands for one filter. */
  onQueue(queue: QueueId): StoredSubscription | undefined {
    if (this.#byQueue !== undefined) return this.#byQueue.get(queue);
    for (const subscription of this.#subscriptions)
      if (subscription.queue === queue && subscription.group === undefined) return subscription;
    return undefined;
  }

  removeSubscription(filter: string): StoredSubscription | undefined {
    const known = this.subscription(filter);
    if (known === undefined) return undefined;
    this.#byFilter?.delete(filter);
    this.#forgetQueue(known);
    if (isP2pFilter(filter)) this.#hasOwnQueue = false;
    else {
      this.#filterBytes -= Buffer.byteLength(filter);
      this.#kinds?.remove(filter);
    }
    const at = this.#subscriptions.indexOf(known);
    const last = this.#subscriptions.pop()!;
    if (last !== known) this.#subscriptions[at] = last;
    return known;
  }

  outboundOf(packetId: number): OutboundState | undefined {
    return this.#outbound?.get(packetId);
  }

  putOutbound(state: OutboundState): void {
    (this.#outbound ??= new Map()).set(state.packetId, state);
  }

  removeOutbound(packetId: number): void {
    this.#outbound?.delete(packetId);
  }

  /** Marks a place as done in the subscription on its queue. Groups keep places of their own. */
  markDone(place: Place): void {
    if (place.kind !== 'queue') return;
    const subscription = this.onQueue(place.queue);
    if (subscription === undefined) return;
    cursorOf(subscription.cursors, place.partition).markDone(place.offset);
  }

  moveTo(queue: QueueId, partition: number, position: number): void {
    const subscription = this.onQueue(queue);
    if (subscription !== undefined) cursorOf(subscription.cursors, partition).moveTo(position);
  }

  hasInbound(packetId: number): boolean {
    return this.#inbound?.has(packetId) === true;
  }

  addInbound(packetId: number): void {
    (this.#inbound ??= new Set()).add(packetId);
  }

  removeInbound(packetId: number): void {
    this.#inbound?.delete(packetId);
  }

  /** Copies for the link, whose receiver owns what it gets: some subscriptions, from one on. */
  subscriptionStates(from: number, max: number): SubscriptionState[] {
    return this.#subscriptions.slice(from, from + max).map(stateOf);
  }

  /** The same of the first subscriptions, and of all the rest. */
  state(subscriptionsMax: number = Infinity): SessionState {
    return {
      subscriptions: this.subscriptionStates(0, subscriptionsMax),
      outbound: [...this.outbound].sort((a, b) => a.sequence - b.sequence),
      inbound: [...this.inbound],
    };
  }
}

export function stateOf(subscription: StoredSubscription): SubscriptionState {
  return {
    filter: subscription.filter,
    options: subscription.options,
    group: subscription.group,
    queue: subscription.queue,
    positions: subscription.cursors.map((cursor) => cursor.copy()),
    retainedAfter: subscription.retainedAfter,
  };
}

function kindsOf(subscriptions: readonly StoredSubscription[]): CountedKinds {
  const kinds = new CountedKinds();
  for (const { filter } of subscriptions) if (!isP2pFilter(filter)) kinds.add(filter);
  return kinds;
}
