import type { QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { QueueEnd } from '@lmqtt/proto/link';
import type { Outlet } from '../routing/outlet.ts';
import type { Routes } from '../routing/routes.ts';

const endsAtOnce = 1000;

/**
 * How far each queue has come, as far as this ds has told others: a cs that attaches may have
 * missed what was pushed before, and is told where to look.
 */
export class QueueEnds {
  readonly #routes: Routes;
  /** By queue, then by partition. */
  readonly #ends = new Map<QueueId, number[]>();

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  take(messages: readonly Message[]): void {
    for (const { entries } of messages) {
      for (const { queue, partition, offset } of entries) {
        let ends = this.#ends.get(queue);
        if (ends === undefined) {
          if (this.#routes.queue(queue) === undefined) continue;
          this.#ends.set(queue, (ends = []));
        }
        while (ends.length < partition) ends.push(0);
        const end = ends[partition];
        if (end === undefined || end <= offset) ends[partition] = offset + 1;
      }
    }
  }

  forget(queue: QueueId): void {
    this.#ends.delete(queue);
  }

  tell(cs: Outlet): void {
    let told: QueueEnd[] = [];
    for (const [queue, ends] of this.#ends) {
      if (this.#routes.queue(queue)?.nodes.includes(cs) !== true) continue;
      for (const [partition, end] of ends.entries())
        if (end > 0) told.push({ queue, partition, end });
      if (told.length < endsAtOnce) continue;
      cs.downstream.behind(told);
      told = [];
    }
    if (told.length > 0) cs.downstream.behind(told);
  }
}
