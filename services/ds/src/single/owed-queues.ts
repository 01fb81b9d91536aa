import { type QueueId, queueName } from '@lmqtt/common/ids';
import type { LocalHoldings } from './holdings.ts';
import { isOwed, type OwedQueues } from '../use-cases/owed-queues.ts';
import type { Queue, Routes } from '../routing/routes.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/** Owed queues of the only ds: each is pinned, also while its session is absent. */
export class LocalOwedQueues implements OwedQueues {
  readonly #routes: Routes;
  readonly #holdings: LocalHoldings;
  readonly #bySession = new Map<StoredSession, Map<QueueId, Queue>>();

  constructor(routes: Routes, holdings: LocalHoldings) {
    this.#routes = routes;
    this.#holdings = holdings;
  }

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
      // The queue's generation is over: nothing can be read of it.
      if (named !== undefined && named.id !== place.queue) continue;
      this.#pin(session, this.#holdings.restore(place.queue, queueName(filter)));
    }
  }

  done(session: StoredSession, id: QueueId): void {
    const queues = this.#bySession.get(session);
    const queue = queues?.get(id);
    if (queues === undefined || queue === undefined || isOwed(session, id)) return;
    queues.delete(id);
    if (queues.size === 0) this.#bySession.delete(session);
    this.#holdings.unpin(queue);
  }

  /** The queue stays pinned while the session is absent. */
  connected(): void {}

  disconnected(): void {}

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
