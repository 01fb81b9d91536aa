import type { TurnTime } from './turn-time.ts';
import type { Wheel } from './wheel.ts';

/** A tick that comes later than so many of them comes after a pause of this process. */
const ticksOfPause = 4;

/**
 * Ticks that advance the timing wheel. After a pause of this process the first tick is left out:
 * bytes that wait in the sockets are read before anybody is timed out.
 */
export class WheelTicks {
  readonly #wheel: Wheel;
  readonly #time: TurnTime;
  readonly #pauseMs: number;
  /** Monotonic. */
  #lastMs: number;
  /** The last tick was left out. */
  #leftOut = false;

  constructor(wheel: Wheel, time: TurnTime, tickMs: number) {
    this.#wheel = wheel;
    this.#time = time;
    this.#pauseMs = ticksOfPause * tickMs;
    this.#lastMs = time.monotonicMs;
  }

  tick(): void {
    const nowMs = this.#time.monotonicMs;
    const isLate = nowMs - this.#lastMs > this.#pauseMs;
    this.#lastMs = nowMs;
    this.#leftOut = isLate && !this.#leftOut;
    if (!this.#leftOut) this.#wheel.advance(nowMs);
  }
}
