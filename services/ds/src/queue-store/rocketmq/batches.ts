import type { Append } from '../queue-store.ts';

/** The appends of one call, answered as they come. */
export interface Batch {
  readonly done: (answered: Append[]) => void;
  answered: Append[];
}

/** Tells each batch once a turn what of it is answered, before anything else happens. */
export class Batches {
  #answered: Batch[] = [];
  #scheduled = false;

  /** `later`: not in the turn of the call that asked for it. */
  answer(batch: Batch, append: Append, later: boolean): void {
    if (batch.answered.length === 0) this.#answered.push(batch);
    batch.answered.push(append);
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (later) setImmediate(() => this.#tell());
    else queueMicrotask(() => this.#tell());
  }

  #tell(): void {
    this.#scheduled = false;
    const batches = this.#answered;
    this.#answered = [];
    for (const batch of batches) {
      const { answered } = batch;
      batch.answered = [];
      batch.done(answered);
    }
  }
}
