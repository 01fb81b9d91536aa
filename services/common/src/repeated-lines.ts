import type { Clock } from './clock.ts';

const firstWaitMs = 5000;
const longestWaitMs = 600_000;
/** After so long without it, the next time is the first one again. */
const forgottenMs = 60_000;
const keysMax = 1000;

interface Line {
  saidAtMs: number;
  lastAtMs: number;
  waitMs: number;
  unsaid: number;
}

/**
 * Log lines of what happens again and again: the first is written at once, the next ones after 5 s,
 * 10 s, and so on up to one in 10 minutes, however often it happens.
 */
export class RepeatedLines {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #lines = new Map<string, Line>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** How many lines were not written since the last one; undefined: this one is not, either. */
  due(key: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const line = this.#lines.get(key);
    if (line === undefined || nowMs - line.lastAtMs > Math.max(forgottenMs, 2 * line.waitMs)) {
      if (this.#lines.size >= keysMax) this.#lines.clear();
      this.#lines.set(key, { saidAtMs: nowMs, lastAtMs: nowMs, waitMs: firstWaitMs, unsaid: 0 });
      return line?.unsaid ?? 0;
    }
    line.lastAtMs = nowMs;
    if (nowMs - line.saidAtMs < line.waitMs) {
      line.unsaid += 1;
      return undefined;
    }
    const { unsaid } = line;
    line.saidAtMs = nowMs;
    line.waitMs = Math.min(longestWaitMs, 2 * line.waitMs);
    line.unsaid = 0;
    return unsaid;
  }

  /** The matter is over: the next line about it is the first one again. */
  forget(key: string): void {
    this.#lines.delete(key);
  }
}
