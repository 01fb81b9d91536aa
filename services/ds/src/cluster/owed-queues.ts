import type { QueueId } from '@lmqtt/common/ids';
import type { Holdings } from '../use-cases/holdings.ts';
import { isOwed, type OwedQueues } from '../use-cases/owed-queues.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/**
 * Owed queues of one of several ds: the registry keeps such a queue, whichever ds its session is
 * at.
 */
export class ClusterOwedQueues implements OwedQueues {
  readonly #holdings: Holdings;
  /** Queues by the sessions that are connected here. */
  readonly #bySession = new Map<StoredSession, Set<QueueId>>();

  constructor(holdings: Holdings) {
    this.#holdings = holdings;
  }

  keep(session: StoredSession, id: QueueId): void {
    if (!isOwed(session, id)) return;
    const owed = this.#bySession.get(session);
    if (owed === undefined) this.#bySession.set(session, new Set([id]));
    else owed.add(id);
  }

  restore(session: StoredSession): void {
    for (const { place } of session.outbound) {
      if (place.kind !== 'queue') continue;
      if (!session.subscriptions.some((one) => one.queue === place.queue))
        this.keep(session, place.queue);
    }
  }

  connected(session: StoredSession): void {
    this.restore(session);
  }

  disconnected(session: StoredSession): void {
    // Holders that end with the session let go in `ended`.
    if (session.persistent) this.#bySession.delete(session);
  }

  done(session: StoredSession, id: QueueId): void {
    const owed = this.#bySession.get(session);
    if (owed === undefined || !owed.has(id) || isOwed(session, id)) return;
    owed.delete(id);
    if (owed.size === 0) this.#bySession.delete(session);
    this.#holdings.letGo(id, session);
  }

  ended(session: StoredSession): void {
    this.restore(session);
    const owed = this.#bySession.get(session);
    this.#bySession.delete(session);
    for (const id of owed ?? []) this.#holdings.letGo(id, session);
  }
}
