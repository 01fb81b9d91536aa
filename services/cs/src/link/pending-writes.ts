import type { SessionWrite } from '@lmqtt/proto/link';

/** A batch that waits for ds to have answered what was presented before it. */
export interface HeldWrites {
  /** Of the call, among all calls on the link. */
  readonly ticket: number;
  readonly number: number;
  readonly batch: readonly SessionWrite[];
}

/**
 * Who asked when writes of session state are durable. The writes themselves are not kept: what is
 * presented to another ds has them, except for those made after it was presented.
 */
export class PendingWrites {
  private lastNumber = 0;
  private readonly waiting: Map<number, () => void> = new Map();
  /** What is presented has their writes. */
  private covered: (() => void)[] = [];
  private held: HeldWrites[] = [];

  /** Of a batch that is sent; 0: nobody asks. */
  number(durable: (() => void) | undefined): number {
    if (durable === undefined) return 0;
    this.lastNumber += 1;
    this.waiting.set(this.lastNumber, durable);
    return this.lastNumber;
  }

  hold(ticket: number, batch: readonly SessionWrite[], durable: (() => void) | undefined): void {
    this.held.push({ ticket, number: this.number(durable), batch });
  }

  durable(numbers: readonly number[], fenced: readonly number[]): void {
    for (const number of fenced) this.waiting.delete(number);
    for (const number of numbers) {
      const durable = this.waiting.get(number);
      if (durable === undefined) continue;
      this.waiting.delete(number);
      durable();
    }
  }

  /** Sessions are about to be presented as they are after all writes so far. */
  cover(): void {
    for (const durable of this.waiting.values()) this.covered.push(durable);
    this.waiting.clear();
    this.held = [];
  }

  takeHeld(): HeldWrites[] {
    const { held } = this;
    this.held = [];
    return held;
  }

  /** What was presented is stored. */
  presented(): void {
    const { covered } = this;
    this.covered = [];
    for (const durable of covered) durable();
  }
}
