import type { QueueId } from '@lmqtt/common/ids';
import type { StoredSession } from '../session-store/stored-session.ts';

/**
 * Queues that a session needs though it has no subscription on them any more: messages of theirs
 * were in flight when it unsubscribed, and are delivered to the end [MQTT-3.10.4-3]. Such a queue
 * is kept until the last of these messages is done with or the session ends.
 */
export interface OwedQueues {
  /** The session is about to let go of this queue. */
  keep(session: StoredSession, id: QueueId): void;
  /** At start or when it was presented, after all subscriptions. */
  restore(session: StoredSession): void;
  connected(session: StoredSession): void;
  disconnected(session: StoredSession): void;
  /** A message of this queue is done with, and no longer in the session. */
  done(session: StoredSession, id: QueueId): void;
  ended(session: StoredSession): void;
}

export function isOwed(session: StoredSession, id: QueueId): boolean {
  for (const { place } of session.outbound)
    if (place.kind === 'queue' && place.queue === id) return true;
  return false;
}
