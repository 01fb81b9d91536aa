import type { ClientId, Epoch, NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { SessionsLimit } from './session-counts.ts';
import type {
  SessionUser,
  StoredSession,
  StoredSubscription,
  StoredWill,
} from './stored-session.ts';

/**
 * Sessions: who has which, what they subscribe to and how far they have come, their packet
 * identifiers, wills and expiry.
 *
 * Promises
 * - Changes are made in the order of the calls. A call that returns a promise has made its change
 *   when it returns, and made it durable when the promise resolves; a rejection means that the
 *   store failed, and that the change may or may not be there after a restart.
 * - A change by any epoch but that of the last claim is refused: `false`, or ignored in `write`.
 * - An epoch is the wall clock in ms, or one more than the last where that is greater.
 * - A session that ends with its connection (expiry 0) is not stored, save its will and, where its
 *   node outlives this ds, its inbound identifiers.
 * - A session that its node has kept while its ds ended is presented to the next: it goes on with
 *   its epoch, and its will waits as before. One that outlives its connection can be presented
 *   while the store has it connected with that epoch; any other, unless the store knows a greater
 *   epoch: it is made of what is presented and the inbound identifiers that are stored.
 * - A session whose connection is at another ds is not claimed: the answer says who has it, and
 *   `freed` tells when that connection has ended, or that it did not within the time. Those at this
 *   ds are claimed: their users have seen to it that the connection before has flushed.
 * - A session belongs to the user of the claim that made it ({@link StoredSession.user}). A claim
 *   of another user ends it and makes a new one, as a clean start does; or it is refused, and
 *   changes nothing, where it says so and the session has not ended. Another account of the same
 *   name is another user, and never refused: the earlier account is gone. A session that was stored
 *   without a user belongs to the first who claims or presents it.
 * - Stored sessions are counted, connected or not, in all and by user: a claim that would make one
 *   more than a limit allows is refused, and changes nothing. One that goes on with a session, or
 *   replaces a stored one of the same user, is not. Where several ds share the store the count may
 *   lag by what is under way, and be wrong for some minutes after a ds has died.
 * - Claiming cancels a will that has a delay and is not yet due, only if the session continues;
 *   any other will that was not removed becomes due in the same step. A will that waits because
 *   of a planned stop is cancelled by any claim of its client, save one that ends the session of
 *   another user.
 *   The answer says whether a will of the client is due or on its way.
 * - All times are the store's own, in ms; those of an embedded store stand still while it is down.
 * - `takeDue` and `takeWills` give each due thing to one caller; a will that was not reported as
 *   sent (the taker died) is given again at the next start, or by a store of several ds to another
 *   taker after a while. `takeWills` gives what was due when it was called, a will that a `release`
 *   before it made due included, and one that was delayed at once.
 */
export interface SessionStore {
  claim(claim: Claim): Promise<Claimed | Held | ClaimRefused>;
  /** The connection that `held` tells of has ended; false: it has not, within the time. */
  freed(held: Held, waitMs: number): Promise<boolean>;
  /**
   * Nobody answers for that connection: it is ended as one that was lost, unless another has come
   * since. What it writes after that is refused.
   */
  endHeld(held: Held): Promise<void>;
  /** The connection of this epoch ended. */
  release(session: StoredSession, epoch: Epoch, release: Release): Promise<Released | false>;
  /** Ends the session now, connected or not; its will becomes due. */
  remove(session: StoredSession): Promise<void>;
  /** Puts subscriptions, replacing those of the same filters; all or none. */
  subscribe(session: StoredSession, epoch: Epoch, put: StoredSubscription[]): Promise<boolean>;
  unsubscribe(session: StoredSession, epoch: Epoch, filters: string[]): Promise<boolean>;
  /** The will that its connection left or may leave: for operators. */
  willOf(session: StoredSession): Promise<StoredWill | undefined>;
  /** Adds to the batch that `commit` ends. */
  write(session: StoredSession, epoch: Epoch, write: SessionWrite): void;
  /** `durable` comes after the batch, and all before it; without it the batch is lazy. */
  commit(durable?: () => void): void;
}

/** Expiry and wills: what one ds at a time works. */
export interface DueStore {
  takeDue(itemsMax: number): Due[] | Promise<Due[]>;
  /** The wills of one client that are due. */
  takeWills(clientId: ClientId): TakenWills | Promise<TakenWills>;
  /** The will has just been handed to the queue store: its removal is durable with its message. */
  willSending(will: DueWill): void;
  willSent(will: DueWill): void;
  /** The will could not be sent: it is due again after a while. */
  willDelayed(will: DueWill): void;
}

/** One ds with its own store, whose nodes outlive it. */
export interface LastRunStore {
  /** Before `start`. */
  present(presentation: Presentation): Presented;
  /** Ends the connections of the last run, except those that were presented. */
  start(): void;
}

/** Several ds on one store. */
export interface ClusterSessionStore extends SessionStore, DueStore {
  /**
   * This ds writes for the session from now on, and no other. Where it comes from may still be
   * alive: its writes are refused.
   */
  present(presentation: Presentation): Promise<Presented>;
  /** A write was refused: claimed, presented elsewhere or ended. Told once for each session. */
  onFenced(listener: (session: StoredSession) => void): void;
  /**
   * Every session that the store has connected at this cs, by an epoch of that instance or before,
   * ends as after a lost connection. May be called again where it failed, and by several ds.
   * `ended` is told of those whose connections ended, and waited for; some may be told again.
   * Without `judgement` now counts: also of sessions that another instance has claimed meanwhile.
   */
  endNode(
    node: NodeId,
    graceMs: number,
    judgement?: Judgement,
    ended?: (clientIds: ClientId[]) => Promise<void>,
  ): Promise<void>;
  /** The session's connection is no longer at this ds, which writes nothing more for it. */
  drop(session: StoredSession): void;
  /** Number of stored sessions of the whole cluster, as the store said last. */
  readonly storedCount: number;
  /**
   * Reads the number. `repair`: this ds looks, page by page, for counted sessions that are no more.
   */
  readCount(repair: boolean): Promise<void>;
  /** A stored session, connected or not, as of now: for operators. Not to be written to. */
  look(clientId: ClientId): Promise<StoredSession | undefined>;
  /**
   * Identifiers of stored sessions, connected or not, that begin with the prefix: the first ones
   * behind the one given, in their order. What changes meanwhile is seen or not: for operators.
   */
  storedIds(after: ClientId | null, idsMax: number, prefix: string): Promise<ClientId[]>;
}

/** When a node was judged, by the registry's clock. */
export interface Judgement {
  /**
   * Time of the end: sessions that were claimed or presented later are of another instance of that
   * name.
   */
  readonly atMs: number;
  /** From then on its clients count as disconnected. */
  readonly leaseEndedAtMs: number;
}

export interface Claim {
  readonly clientId: ClientId;
  readonly node: NodeId;
  readonly handle: SessionHandle;
  readonly user: SessionUser;
  /** Treatment of the session where it belongs to another user. */
  readonly userChange: 'replace' | 'refuse';
  readonly cleanStart: boolean;
  /** As granted. */
  readonly sessionExpiryS: number;
  readonly will: StoredWill | undefined;
}

export interface Claimed {
  readonly kind: 'claimed';
  readonly session: StoredSession;
  readonly epoch: Epoch;
  readonly present: boolean;
  /** A session of this client that ended by the claim. */
  readonly ended: StoredSession | undefined;
  /** Whether a will of this client is due or being sent. */
  readonly willsDue: boolean;
}

/** Nothing has changed. */
export interface ClaimRefused {
  readonly kind: 'refused';
  /** `other user`: the session is that of another; otherwise the limit that is reached. */
  readonly reason: 'other user' | SessionsLimit;
  /** Set where the other user's session ends with its connection, which is there still. */
  readonly whileConnected?: boolean;
}

/** Somebody is connected with this session. */
export interface Held {
  readonly kind: 'held';
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  /** The node that has it, to be asked to let go. */
  readonly node: NodeId;
  readonly handle: SessionHandle;
}

/** A session that its node has kept while its ds ended. */
export interface Presentation {
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly node: NodeId;
  readonly handle: SessionHandle;
  readonly user: SessionUser;
  /** As granted. */
  readonly sessionExpiryS: number;
  /** Only of a session that ends with its connection. */
  readonly subscriptions: StoredSubscription[];
  readonly inbound: readonly number[];
}

export type Presented =
  /** `ended`: a session of this client with a lesser epoch, which ended by this. */
  | {
      readonly kind: 'taken up';
      readonly session: StoredSession;
      readonly ended: StoredSession | undefined;
    }
  /** Another claim has it. */
  | { readonly kind: 'claimed' }
  /** The session has ended, or its connection has. */
  | { readonly kind: 'ended' };

export interface Release {
  readonly publishWill: boolean;
  /** A new expiry, as granted. */
  readonly sessionExpiryS: number | undefined;
  /** The will waits at least so long, and any claim of the client cancels it: a planned stop. */
  readonly graceMs: number;
}

export interface Released {
  /** The session ended with its connection. */
  readonly ended: boolean;
}

export type Due = DueWill | { readonly kind: 'expired'; readonly session: StoredSession };

export interface DueWill {
  readonly kind: 'will';
  readonly number: number;
  readonly will: StoredWill;
  /** Set by a store from which several ds may take the will, one after another. */
  readonly sending?: WillSending;
}

export interface TakenWills {
  readonly wills: readonly DueWill[];
  /** Whether another ds has taken a will of the client, and has not said what became of it. */
  readonly busy: boolean;
}

/** How whoever takes a will after another finds out whether that one has sent it. */
interface WillSending {
  /** Key of its message; the same for each taker. */
  readonly key: string;
  /** The store's time at which it was taken first. */
  readonly sinceMs: number;
  /** Another has taken it before, and has not said that it was sent. */
  readonly again: boolean;
}
