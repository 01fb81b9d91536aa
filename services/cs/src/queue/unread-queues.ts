import type { QueueId } from '@lmqtt/common/ids';

const queuesMax = 10_000;

/**
 * Queues for which something was pushed lately though nobody at this node reads them. They are
 * remembered while a CONNECT is under way: one of them may be the queue of its session, which is
 * known with the answer. Counted in rounds: of the current and the one before, so that a CONNECT
 * that takes longer finds nothing out.
 */
export class UnreadQueues {
  #round = 0;
  /** The last round in which a CONNECT began. */
  #watched = -1;
  /** Undefined where no CONNECT is waited for. */
  #recent: Set<QueueId> | undefined = undefined;
  #before: Set<QueueId> | undefined = undefined;

  /** A CONNECT begins. The answer is for `has`. */
  watch(): number {
    this.#watched = this.#round;
    this.#recent ??= new Set();
    return this.#round;
  }

  add(queue: QueueId): void {
    if (this.#recent !== undefined && this.#recent.size < queuesMax) this.#recent.add(queue);
  }

  /** False: nothing was pushed for the queue since the CONNECT of that `watch` began. */
  has(queue: QueueId, watched: number): boolean {
    if (this.#round - watched > 1) return true;
    return isIn(this.#recent, queue) || isIn(this.#before, queue);
  }

  /** The next round begins. */
  next(): void {
    this.#before = this.#recent;
    this.#recent = this.#watched === this.#round ? new Set() : undefined;
    this.#round += 1;
  }
}

/** A full set stands for every queue. */
function isIn(queues: Set<QueueId> | undefined, queue: QueueId): boolean {
  return queues !== undefined && (queues.size === queuesMax || queues.has(queue));
}
