import type { Clock } from '@lmqtt/common/clock';

interface Sample {
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

const samplesMax = 8;
/** Differences within this are noise, not a clock that was set. */
const noiseMs = 5;

/**
 * How far the wall clock of ds is ahead of ours. Of the last answers the quickest one says it best:
 * its error is at most half of its round trip.
 */
export class WallOffset {
  #samples: Sample[] = [];
  #best: Sample = { offsetMs: 0, roundTripMs: Infinity };

  /** True once the offset was measured. */
  get known(): boolean {
    return this.#samples.length > 0;
  }

  get offsetMs(): number {
    return this.#best.offsetMs;
  }

  /** `theirsMs`: their clock while the question was under way; `oursMs`: ours at the answer. */
  add(theirsMs: number, oursMs: number, roundTripMs: number): void {
    const sample = { offsetMs: theirsMs + roundTripMs / 2 - oursMs, roundTripMs };
    // A clock was set: what was measured before says nothing any more.
    this.#samples = this.#samples.filter((earlier) => agree(earlier, sample)).slice(1 - samplesMax);
    this.#samples.push(sample);
    this.#best = this.#samples.reduce((best, each) =>
      each.roundTripMs <= best.roundTripMs ? each : best,
    );
  }
}

function agree(one: Sample, other: Sample): boolean {
  const errorMs = (one.roundTripMs + other.roundTripMs) / 2 + noiseMs;
  return Math.abs(one.offsetMs - other.offsetMs) <= errorMs;
}

/** Wall time as ds has it, so that expiry is judged alike wherever a message is. */
export function clockOfLink(clock: Clock, link: { readonly wallOffsetMs: number }): Clock {
  return {
    nowMs: () => clock.nowMs() + link.wallOffsetMs,
    monotonicMs: () => clock.monotonicMs(),
  };
}
