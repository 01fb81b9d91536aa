import type { Clock } from '@lmqtt/common/clock';

/** Deadlines that lie closer together are looked at together. */
const grainMs = 20;

/**
 * One timer for any number of deadlines, set for the earliest of them. Most are met, so a deadline
 * costs a comparison; `sweep` looks at those that are left and answers the earliest that lies
 * ahead, or Infinity.
 */
export class DeadlineTimer {
  readonly #clock: Clock;
  readonly #sweep: (nowMs: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, sweep: (nowMs: number) => number) {
    this.#clock = clock;
    this.#sweep = sweep;
  }

  add(deadlineMs: number, nowMs: number): void {
    if (deadlineMs >= this.#dueMs) return;
    this.#dueMs = deadlineMs;
    clearTimeout(this.#timer);
    const waitMs = Math.max(grainMs, deadlineMs - nowMs);
    this.#timer = setTimeout(() => this.#due(), waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  #due(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const nextMs = this.#sweep(nowMs);
    if (nextMs !== Number.POSITIVE_INFINITY) this.add(nextMs, nowMs);
  }
}
