import { type QueueId, queueName } from '@lmqtt/common/ids';
import type { Holdings } from './holdings.ts';
import type { Queue, Routes } from './routes.ts';
import type { StoredSession } from './session-store/stored-session.ts';

/**
 * Queues that a session needs though it has no subscription on them any more: messages of theirs
 * were in flight when it unsubscribed, and are delivered to the end [MQTT-3.10.4-3]. Such a queue is
 * pinned, so that it is neither dropped nor trimmed, until the last of these messages is done with
 * or the session ends.
 */
export class OwedQueues {
  readonly #routes: Routes;
  readonly #holdings: Holdings;
  readonly #bySession = new Map<StoredSession, Map<QueueId, Queue>>();

  constructor(routes: Routes, holdings: Holdings) {
    this.#routes = routes;
    this.#holdings = holdings;
  }

  /** The session is about to let go of this queue. */
  keep(session: StoredSession, id: QueueId): void {
    const queue = this.#routes.queue(id);
    if (queue !== undefined && isOwed(session, id)) this.#pin(session, queue);
  }

  /** At start, after all subscriptions: what was owed when the broker stopped is owed still. */
  restore(session: StoredSession): void {
    for (const { place, filter } of session.outbound) {
      if (place.kind !== 'queue') continue;
      if (session.subscriptions.some((one) => one.queue === place.queue)) continue;
      const named = this.#routes.named(queueName(filter));
      // Its generation is over: nothing can be read of it.
      if (named !== undefined && named.id !== place.queue) continue;
      this.#pin(session, this.#holdings.restore(place.queue, queueName(filter)));
    }
  }

  /** A message of this queue is done with, and no longer in the session. */
  done(session: StoredSession, id: QueueId): void {
    const queues = this.#bySession.get(session);
    const queue = queues?.get(id);
    if (queues === undefined || queue === undefined || isOwed(session, id)) return;
    queues.delete(id);
    if (queues.size === 0) this.#bySession.delete(session);
    this.#holdings.unpin(queue);
  }

  ended(session: StoredSession): void {
    const queues = this.#bySession.get(session);
    if (queues === undefined) return;
    this.#bySession.delete(session);
    for (const queue of queues.values()) this.#holdings.unpin(queue);
  }

  #pin(session: StoredSession, queue: Queue): void {
    const queues = this.#bySession.get(session) ?? new Map<QueueId, Queue>();
    if (queues.has(queue.id)) return;
    queue.pins += 1;
    queues.set(queue.id, queue);
    this.#bySession.set(session, queues);
  }
}

function isOwed(session: StoredSession, id: QueueId): boolean {
  for (const { place } of session.outbound)
    if (place.kind === 'queue' && place.queue === id) return true;
  return false;
}
