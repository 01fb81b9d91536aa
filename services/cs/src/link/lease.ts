import type { Clock } from '@lmqtt/common/clock';

/**
 * This node's lease, by the monotonic clock. What is heard late renews nothing: a lease
 * counts from the moment at which the question was asked, and only an answered one counts. With
 * another ds it begins when that has answered what was presented; until then the old one runs out.
 */
export class Lease {
  readonly #clock: Clock;
  /** Nothing that ds may have given to others is done at or past it. */
  #ends = 0;
  #leaseMs = 0;
  #openedMs = 0;
  /** When the last question was asked that has been answered. */
  #answeredMs = 0;
  #presented = false;
  #lastNumber = 0;
  /** Questions, oldest first. */
  #unanswered: { readonly number: number; readonly askedMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get endsMs(): number {
    return this.#ends;
  }

  get ended(): boolean {
    return this.#clock.monotonicMs() >= this.#ends;
  }

  /** The oldest question of this stream that has no answer was asked then. */
  get silentSinceMs(): number | undefined {
    return this.#unanswered[0]?.askedMs;
  }

  /** A stream is about to be asked for: the first question. */
  opening(): void {
    this.#openedMs = this.#clock.monotonicMs();
    this.#unanswered = [];
  }

  /** ds answered that; `resumed`: it is the one that we are attached to. */
  welcomed(leaseMs: number, resumed: boolean): void {
    this.#leaseMs = leaseMs;
    // Nobody has asked whether the lease still goes on.
    if (resumed) return;
    this.#presented = false;
    this.#answeredMs = this.#openedMs;
  }

  /** Our sessions are known to ds. */
  begin(): void {
    this.#presented = true;
    this.#ends = this.#answeredMs + this.#leaseMs;
  }

  /** Numbers a question that is about to leave. */
  ask(): number {
    this.#lastNumber += 1;
    this.#unanswered.push({ number: this.#lastNumber, askedMs: this.#clock.monotonicMs() });
    return this.#lastNumber;
  }

  /**
   * When the question was asked; undefined: it is none of this stream's. Where the answer does not
   * confirm the lease, it says only that ds is there.
   */
  answer(number: number, confirmed: boolean = true): number | undefined {
    const index = this.#unanswered.findIndex((question) => question.number === number);
    const question = this.#unanswered[index];
    if (question === undefined) return undefined;
    // The earlier ones, or their answers, were lost.
    this.#unanswered.splice(0, index + 1);
    if (confirmed) this.#answered(question.askedMs);
    return question.askedMs;
  }

  #answered(askedMs: number): void {
    this.#answeredMs = Math.max(this.#answeredMs, askedMs);
    if (this.#presented) this.#ends = this.#answeredMs + this.#leaseMs;
  }
}
