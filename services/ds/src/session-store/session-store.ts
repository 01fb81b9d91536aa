import type { ClientId, Epoch, NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { StoredSession, StoredSubscription, StoredWill } from './stored-session.ts';

/**
 * Sessions: who has which, what they subscribe to and how far they have come, their packet
 * identifiers, wills and expiry.
 *
 * Promises
 * - Changes are made in the order of the calls. A call that returns a promise has made its change
 *   when it returns, and made it durable when the promise resolves; a rejection means that the
 *   store failed, and that the change may or may not be there after a restart.
 * - A change by any epoch but that of the last claim is refused: `false`, or ignored in `write`.
 * - A session that ends with its connection (expiry 0) is not stored, save its will.
 * - Claiming cancels a will that has a delay and is not yet due, only if the session continues;
 *   any other will that was not removed becomes due in the same step. A will that waits because
 *   of a planned stop is cancelled by any claim of its client.
 * - All times are the store's own, in ms; they stand still while a standalone broker is down.
 * - `takeDue` gives each due thing to one caller; a will that was not reported as sent (the
 *   taker died) is given again at the next start.
 */
export interface SessionStore {
  claim(claim: Claim): Promise<Claimed>;
  /** The connection of this epoch ended. */
  release(session: StoredSession, epoch: Epoch, release: Release): Promise<Released | false>;
  /** Ends the session now, connected or not; its will becomes due. */
  remove(session: StoredSession): Promise<void>;
  /** Puts subscriptions, replacing those of the same filters; all or none. */
  subscribe(session: StoredSession, epoch: Epoch, put: StoredSubscription[]): Promise<boolean>;
  unsubscribe(session: StoredSession, epoch: Epoch, filters: string[]): Promise<boolean>;
  /** Adds to the batch that `commit` ends. */
  write(session: StoredSession, epoch: Epoch, write: SessionWrite): void;
  /** `durable` comes after the batch, and all before it; without it the batch is lazy. */
  commit(durable?: () => void): void;
  takeDue(itemsMax: number): Due[];
  /** It has just been handed to the queue store: that it is gone is durable with its message. */
  willSending(will: DueWill): void;
  willSent(will: DueWill): void;
  /** It could not be sent: it is due again after a while. */
  willDelayed(will: DueWill): void;
}

export interface Claim {
  readonly clientId: ClientId;
  readonly node: NodeId;
  readonly handle: SessionHandle;
  readonly cleanStart: boolean;
  /** As granted. */
  readonly sessionExpiryS: number;
  readonly will: StoredWill | undefined;
}

export interface Claimed {
  readonly session: StoredSession;
  readonly epoch: Epoch;
  readonly present: boolean;
  /** A session of this client that ended by the claim. */
  readonly ended: StoredSession | undefined;
}

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
}
