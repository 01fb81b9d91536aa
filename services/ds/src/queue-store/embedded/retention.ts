import { nextTurn } from '@lmqtt/common/pause';
import { queueId } from '@lmqtt/common/ids';
import type { Journal, JournalSegments } from '../../journal/journal.ts';
import type { QueueEntries } from './queue-entries.ts';
import type { QueueIndex } from './queue-index.ts';
import type { Loss } from '../queue-store.ts';

export interface RetentionLimits {
  /** RETENTION_BYTES: past this, the oldest segment goes even if it is needed. */
  readonly retentionBytes?: number;
  /** RETENTION_AGE_S: the same for a segment whose last message is older, in broker time. */
  readonly retentionAgeS?: number;
  /** How often the limits are looked at. */
  readonly everyMs?: number;
}

/**
 * Removes segments: those that no queue and no checkpoint needs, wherever they stand in the log,
 * and the oldest, needed or not, when a limit is passed.
 */
export class Retention {
  readonly #journal: Journal & JournalSegments;
  readonly #index: QueueIndex;
  readonly #entries: QueueEntries;
  readonly #bytesMax: number;
  readonly #ageMs: number;
  readonly #onLoss: (loss: Loss) => void;
  readonly #timer: NodeJS.Timeout;
  #run: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(
    journal: Journal & JournalSegments,
    index: QueueIndex,
    entries: QueueEntries,
    limits: RetentionLimits,
    onLoss: (loss: Loss) => void,
  ) {
    this.#journal = journal;
    this.#index = index;
    this.#entries = entries;
    this.#bytesMax = limits.retentionBytes ?? 16 * 2 ** 30;
    this.#ageMs = (limits.retentionAgeS ?? 7 * 86_400) * 1000;
    this.#onLoss = onLoss;
    this.#timer = setInterval(() => {
      this.wake();
    }, limits.everyMs ?? 2000);
    this.#timer.unref();
  }

  /** Something may be removable. */
  wake(): void {
    if (this.#closed) return;
    this.run().catch(() => undefined);
  }

  run(): Promise<void> {
    if (this.#run !== undefined) {
      this.#again = true;
      return this.#run;
    }
    this.#run = this.#passes().finally(() => {
      this.#run = undefined;
    });
    return this.#run;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#run?.catch(() => undefined);
  }

  async #passes(): Promise<void> {
    do {
      this.#again = false;
      // Not within the caller's turn: seals and trims call from the middle of their work.
      await nextTurn();
      await this.#removeFree();
      await this.#removeOverLimit();
    } while (this.#again && !this.#closed);
    this.#forgetDropped();
  }

  async #removeFree(): Promise<void> {
    const { coveredBelow, segments } = this.#journal;
    const free = segments.filter(
      ({ number }) => number < coveredBelow && this.#index.isFree(number),
    );
    for (const { number } of free) {
      await this.#journal.remove(number);
      this.#index.forget(number);
    }
  }

  async #removeOverLimit(): Promise<void> {
    for (;;) {
      const { segments } = this.#journal;
      const [oldest] = segments;
      if (oldest === undefined || this.#closed) return;
      const bytes = segments.reduce((sum, { end }) => sum + end, 0);
      if (bytes <= this.#bytesMax && this.#journal.brokerTimeMs() - oldest.lastMs <= this.#ageMs)
        return;
      if (oldest.number >= this.#journal.coveredBelow) await this.#journal.checkpoint();
      if (oldest.number >= this.#journal.coveredBelow) return;
      for (const { places, messages } of this.#index.lose(oldest.number)) {
        this.#entries.changed(places.queue);
        const { first } = places;
        this.#onLoss({ queue: queueId(places.queue), partition: 0, first, messages });
      }
      const count = segments.length;
      await this.#journal.remove(oldest.number);
      if (this.#journal.segments.length === count) return;
    }
  }

  #forgetDropped(): void {
    const first = this.#journal.segments[0]?.number ?? this.#journal.openSegment;
    for (const [queue, segment] of this.#index.dropped) {
      if (segment >= first) continue;
      this.#index.dropped.delete(queue);
      this.#entries.changed(queue);
    }
  }
}
