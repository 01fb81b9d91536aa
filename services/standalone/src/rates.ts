// Rates of counters over the last 1, 5 and 15 minutes. Counters are read each few seconds.
import type { Clock } from '@lmqtt/common/clock';

const sampleMs = 5000;
const minutes = [1, 5, 15] as const;
const samplesMax = (15 * 60_000) / sampleMs + 1;

interface Sample {
  readonly atMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** Per second, over so many minutes, or since the start where that is less. */
interface CounterRates {
  readonly total: number;
  readonly rate1m: number;
  readonly rate5m: number;
  readonly rate15m: number;
}

export class Rates {
  readonly #clock: Clock;
  readonly #read: () => Readonly<Record<string, number>>;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(clock: Clock, read: () => Readonly<Record<string, number>>) {
    this.#clock = clock;
    this.#read = read;
    this.sample();
    this.#timer = setInterval(() => this.sample(), sampleMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  sample(): void {
    this.#samples.push(this.#now());
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  all(): Record<string, CounterRates> {
    const now = this.#now();
    return Object.fromEntries(
      Object.entries(now.counts).map(([name, total]) => {
        const [rate1m, rate5m, rate15m] = minutes.map((span) => this.#rate(now, name, span));
        return [name, { total, rate1m: rate1m!, rate5m: rate5m!, rate15m: rate15m! }];
      }),
    );
  }

  #now(): Sample {
    return { atMs: this.#clock.monotonicMs(), counts: this.#read() };
  }

  #rate(now: Sample, name: string, spanMinutes: number): number {
    const fromMs = now.atMs - spanMinutes * 60_000;
    const first = this.#samples.find(({ atMs }) => atMs >= fromMs) ?? now;
    const seconds = (now.atMs - first.atMs) / 1000;
    if (seconds <= 0) return 0;
    // A node that comes or goes brings its counts along, or takes them away.
    const counted = Math.max(0, (now.counts[name] ?? 0) - (first.counts[name] ?? 0));
    return Math.round((counted / seconds) * 1000) / 1000;
  }
}
