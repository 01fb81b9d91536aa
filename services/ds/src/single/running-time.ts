import type { Clock } from '@lmqtt/common/clock';

/**
 * Monotonic time without the times in which this process stood still (stopped, or its machine
 * asleep): what the others sent meanwhile has not been read yet, so nobody may be judged by it. To
 * be read more often than each `stillMs`.
 */
export class RunningTime implements Clock {
  readonly #clock: Clock;
  readonly #stillMs: number;
  #lastMs: number;
  #skippedMs = 0;

  constructor(clock: Clock, stillMs: number) {
    this.#clock = clock;
    this.#stillMs = stillMs;
    this.#lastMs = clock.monotonicMs();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  monotonicMs(): number {
    const ms = this.#clock.monotonicMs();
    const passedMs = ms - this.#lastMs;
    if (passedMs > this.#stillMs) this.#skippedMs += passedMs;
    this.#lastMs = ms;
    return ms - this.#skippedMs;
  }
}
