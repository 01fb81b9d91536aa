import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Queue, Routes } from '../routing/routes.ts';
import type { Position } from '@lmqtt/proto/session-state';

const queuesMax = 20_000;
const holdersMax = 100_000;

/**
 * Tells the store which messages nobody needs any more: per queue the least position of all who
 * hold it. From a timer; each run looks at a bounded number of queues and holders.
 */
export class QueueTrim {
  readonly #routes: Routes;
  readonly #queueStore: QueueStore;
  #queues: Iterator<Queue> | undefined;

  constructor(routes: Routes, queueStore: QueueStore) {
    this.#routes = routes;
    this.#queueStore = queueStore;
  }

  run(): void {
    let holders = 0;
    this.#queues ??= this.#routes.queues[Symbol.iterator]();
    for (let looks = 0; looks < queuesMax && holders < holdersMax; looks += 1) {
      const next = this.#queues.next();
      if (next.done === true) {
        this.#queues = undefined;
        return;
      }
      const queue = next.value;
      if (!queue.moved) continue;
      queue.moved = false;
      holders += queue.holders.size;
      this.#trim(queue);
    }
  }

  #trim(queue: Queue): void {
    const least = new Map<number, number>();
    let count = 0;
    const holding = new Map<number, number>();
    const take = (cursors: readonly Position[]): void => {
      count += 1;
      for (const { partition, position } of cursors) {
        const known = least.get(partition);
        if (known === undefined || position < known) least.set(partition, position);
        holding.set(partition, (holding.get(partition) ?? 0) + 1);
      }
    };
    // A subscribe is under way: it may start below what the others have reached.
    if (queue.pins > 0) {
      queue.moved = true;
      return;
    }
    for (const holder of queue.holders) take(holder.cursors);
    for (const group of queue.groups ?? []) take(group.stored.cursors);
    for (const [partition, offset] of least) {
      // A holder without a cursor there is owed all of it.
      if (holding.get(partition) === count && offset > 0)
        this.#queueStore.trim(queue.id, partition, offset);
    }
  }
}
