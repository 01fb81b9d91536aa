import type { ReadAnswer } from '@lmqtt/proto/link';

interface Waiting {
  readonly resolve: (answer: ReadAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** Reads of queues without an answer. Another ds is not asked: whoever waits reads again. */
export class PendingReads {
  readonly #reads: Map<number, Waiting> = new Map();

  get count(): number {
    return this.#reads.size;
  }

  add(id: number): Promise<ReadAnswer> {
    return new Promise((resolve, reject) => {
      this.#reads.set(id, { resolve, reject });
    });
  }

  answered(id: number, answer: ReadAnswer): void {
    const read = this.#reads.get(id);
    this.#reads.delete(id);
    read?.resolve(answer);
  }

  failed(id: number, error: string): void {
    const read = this.#reads.get(id);
    this.#reads.delete(id);
    read?.reject(new Error(error));
  }

  rejectAll(reason: string): void {
    const reads = [...this.#reads.values()];
    this.#reads.clear();
    for (const read of reads) read.reject(new Error(reason));
  }
}
