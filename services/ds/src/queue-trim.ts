import type { QueueStore } from './queue-store/queue-store.ts';
import type { Queue, Routes } from './routes.ts';
import type { Position } from '@lmqtt/proto/link';

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
    const take = (cursor: Position): void => {
      const known = least.get(cursor.partition);
      if (known === undefined || cursor.position < known)
        least.set(cursor.partition, cursor.position);
    };
    // A subscribe is under way: it may start below what the others have reached.
    if (queue.pins > 0) {
      queue.moved = true;
      return;
    }
    for (const holder of queue.holders) for (const cursor of holder.cursors) take(cursor);
    for (const group of queue.groups ?? []) for (const cursor of group.stored.cursors) take(cursor);
    for (const [partition, offset] of least) this.#queueStore.trim(queue.id, partition, offset);
  }
}
