import type { SessionWrite } from '@lmqtt/proto/link';

/** A batch that waits for ds to have answered what was presented before it. */
export interface HeldWrites {
  /** Number of the call among all calls on the link. */
  readonly ticket: number;
  readonly number: number;
  readonly batch: readonly SessionWrite[];
}

interface Waiting {
  readonly durable: () => void;
  /** Instead of `durable`: no session of the batch is known. */
  readonly fenced: (() => void) | undefined;
}

/**
 * Callers that asked when writes of session state are durable. The writes themselves are not kept:
 * the state that is presented to another ds has them, except for those made after it was presented.
 */
export class PendingWrites {
  #lastNumber = 0;
  readonly #waiting: Map<number, Waiting> = new Map();
  /** Callers whose writes are in the state that is presented. */
  #covered: (() => void)[] = [];
  #held: HeldWrites[] = [];

  /** Number of a batch that is sent; 0: nobody asks. */
  number(durable: (() => void) | undefined, fenced?: () => void): number {
    if (durable === undefined) return 0;
    this.#lastNumber += 1;
    this.#waiting.set(this.#lastNumber, { durable, fenced });
    return this.#lastNumber;
  }

  hold(
    ticket: number,
    batch: readonly SessionWrite[],
    durable: (() => void) | undefined,
    fenced?: () => void,
  ): void {
    this.#held.push({ ticket, number: this.number(durable, fenced), batch });
  }

  durable(numbers: readonly number[], fenced: readonly number[]): void {
    for (const number of fenced) this.#take(number)?.fenced?.();
    for (const number of numbers) this.#take(number)?.durable();
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    return waiting;
  }

  /** Sessions are about to be presented as they are after all writes so far. */
  cover(): void {
    for (const { durable } of this.#waiting.values()) this.#covered.push(durable);
    this.#waiting.clear();
    this.#held = [];
  }

  takeHeld(): HeldWrites[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** The presented state is stored. */
  presented(): void {
    const covered = this.#covered;
    this.#covered = [];
    for (const durable of covered) durable();
  }
}
