import type { QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { QueueEnd } from '@lmqtt/proto/link';

/** How far queues have come by pushes that were dropped. */
export class LostPushes {
  /** Past the highest offset, by partition. */
  readonly #ends = new Map<QueueId, number[]>();

  /** Queues that have lost any. */
  get size(): number {
    return this.#ends.size;
  }

  /** False: the message is not stored, so that it cannot be read later. */
  add(message: Message): boolean {
    let stored = false;
    for (const { queue, partition, offset } of message.entries) {
      if (offset < 0) continue;
      stored = true;
      let ends = this.#ends.get(queue);
      if (ends === undefined) this.#ends.set(queue, (ends = []));
      ends[partition] = Math.max(ends[partition] ?? 0, offset + 1);
    }
    return stored;
  }

  /** Forgets them. */
  take(): QueueEnd[] {
    const taken: QueueEnd[] = [];
    for (const [queue, ends] of this.#ends)
      // Partitions without a loss are holes, which `forEach` passes over.
      ends.forEach((end, partition) => taken.push({ queue, partition, end }));
    this.#ends.clear();
    return taken;
  }
}
