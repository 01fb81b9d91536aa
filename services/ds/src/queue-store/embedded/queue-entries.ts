import type { EntryKey, Participant } from '../../journal/participant.ts';
import type { QueueIndex } from './queue-index.ts';

/**
 * The state of queues that the checkpoint keeps beside the index of the log: offsets must not go
 * back when the segments that show them are gone, and a dropped queue must not come back.
 *
 *     queue    f64 next offset  f64 trimmed  f64 last
 *     dropped  f64 −1  f64 number of the last segment that can hold messages of it
 */
export class QueueEntries implements Participant {
  readonly name = 'queues';
  readonly #index: QueueIndex;
  #changed = new Set<number>();

  constructor(index: QueueIndex) {
    this.#index = index;
  }

  changed(queue: number): void {
    this.#changed.add(queue);
  }

  load(key: EntryKey, value: Buffer): void {
    const queue = Number(key);
    const next = value.readDoubleLE(0);
    if (next < 0) {
      this.#index.dropped.set(queue, value.readDoubleLE(8));
      return;
    }
    const places = this.#index.places(queue);
    places.next = next;
    places.stored = next;
    places.trimmed = value.readDoubleLE(8);
    places.last = value.readDoubleLE(16);
  }

  takeChanged(): Iterable<EntryKey> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  entry(key: EntryKey): Buffer | undefined {
    const queue = Number(key);
    const dropped = this.#index.dropped.get(queue);
    const places = this.#index.queues.get(queue);
    if (dropped === undefined && places === undefined) return undefined;
    const value = Buffer.alloc(24);
    value.writeDoubleLE(dropped === undefined ? (places?.next ?? 0) : -1, 0);
    value.writeDoubleLE(dropped ?? places?.trimmed ?? 0, 8);
    value.writeDoubleLE(places?.last ?? -1, 16);
    return value;
  }

  putBack(keys: Iterable<EntryKey>): void {
    for (const key of keys) this.#changed.add(Number(key));
  }
}
