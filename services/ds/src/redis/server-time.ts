import { systemClock } from '@lmqtt/common/clock';

interface Sample {
  readonly offsetMs: number;
  readonly errorMs: number;
  readonly atMs: number;
}

const samplesMax = 16;
/** Maximum drift of two quartz clocks. */
const driftPerMs = 100e-6;

/**
 * The store's clock, from here: the wall clock of Redis against the monotonic one of this process,
 * so that a local clock that is set does not matter. Of several measurements that with the
 * shortest way counts, until its age makes it worse than another.
 */
export class ServerTime {
  #samples: Sample[] = [];

  /**
   * Takes the time that Redis said (TIME, in ms), and when that was asked and answered by
   * the monotonic clock.
   */
  note(serverMs: number, askedMs: number, answeredMs: number): void {
    const middleMs = (askedMs + answeredMs) / 2;
    const errorMs = (answeredMs - askedMs) / 2;
    this.#samples.push({ offsetMs: serverMs - middleMs, errorMs, atMs: answeredMs });
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** Another server speaks from now on. */
  reset(): void {
    this.#samples = [];
  }

  /** Milliseconds since 1970; before the first measurement those of the local clock. */
  nowMs(): number {
    const nowMs = systemClock.monotonicMs();
    let best: Sample | undefined;
    let bestErrorMs = Infinity;
    for (const sample of this.#samples) {
      const errorMs = sample.errorMs + (nowMs - sample.atMs) * driftPerMs;
      if (errorMs > bestErrorMs) continue;
      best = sample;
      bestErrorMs = errorMs;
    }
    return best === undefined ? systemClock.nowMs() : nowMs + best.offsetMs;
  }
}
