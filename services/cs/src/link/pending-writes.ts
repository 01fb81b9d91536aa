import type { SessionHandle } from '@lmqtt/common/ids';
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
 * the state that is presented to another ds has them, except for those that a session made after it
 * was taken.
 */
export class PendingWrites {
  #lastNumber = 0;
  readonly #waiting: Map<number, Waiting> = new Map();
  /** Callers whose writes are in the state that is presented. */
  #covered: (() => void)[] = [];
  #held: HeldWrites[] = [];
  /** By presented session, how many of the held batches came before it was taken. */
  readonly #heldBefore: Map<SessionHandle, number> = new Map();

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

  /** Sessions are about to be presented, none as it was before the writes so far. */
  cover(): void {
    for (const { durable } of this.#waiting.values()) this.#covered.push(durable);
    this.#waiting.clear();
    this.#held = [];
    this.#heldBefore.clear();
  }

  /** The session is presented as it is now: with its writes that are held. */
  coverOf(session: SessionHandle): void {
    if (this.#held.length > 0) this.#heldBefore.set(session, this.#held.length);
  }

  /** Writes that are in no presented state. */
  takeHeld(): HeldWrites[] {
    const held: HeldWrites[] = [];
    for (const [index, one] of this.#held.entries()) {
      const batch = one.batch.filter((write) => !this.#isCovered(write.session, index));
      if (batch.length === one.batch.length) held.push(one);
      else if (batch.length > 0) held.push({ ...one, batch });
      else this.#coverNumber(one.number);
    }
    this.#held = [];
    this.#heldBefore.clear();
    return held;
  }

  #isCovered(session: SessionHandle, index: number): boolean {
    return index < (this.#heldBefore.get(session) ?? 0);
  }

  #coverNumber(number: number): void {
    const waiting = this.#take(number);
    if (waiting !== undefined) this.#covered.push(waiting.durable);
  }

  /** The presented state is stored. */
  presented(): void {
    const covered = this.#covered;
    this.#covered = [];
    for (const durable of covered) durable();
  }
}
