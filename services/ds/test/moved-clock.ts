// Time that a test moves: the clock, and the timers of the process while it holds them.
import type { TestContext } from 'node:test';
import type { Clock } from '@lmqtt/common/clock';

const startMs = 1_700_000_000_000;

/** A timer as the code under test sees it. */
class HeldTimer {
  readonly callback: () => void;
  readonly eachMs: number | undefined;
  atMs: number;

  constructor(callback: () => void, atMs: number, eachMs: number | undefined) {
    this.callback = callback;
    this.atMs = atMs;
    this.eachMs = eachMs;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

type Callback = (...values: unknown[]) => void;

export class MovedClock implements Clock {
  /** Work under way comes to its end meanwhile; what goes over sockets needs more than turns. */
  settled: () => Promise<void> = turns;
  #movedMs = 0;
  readonly #timers = new Set<HeldTimer>();

  /** Timers of the process are held until the test ends. */
  static holding(t: TestContext): MovedClock {
    const clock = new MovedClock();
    t.after(clock.hold());
    return clock;
  }

  /** Timers that are set from now on run by `move` only. Returns what ends that. */
  hold(): () => void {
    const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
    const end = (timer: unknown, endReal: (timer: NodeJS.Timeout) => void): void => {
      if (timer instanceof HeldTimer) this.#timers.delete(timer);
      else if (timer !== undefined) endReal(timer as NodeJS.Timeout);
    };
    Object.assign(globalThis, {
      setTimeout: (callback: Callback, ms = 0, ...values: unknown[]) =>
        this.#set(() => callback(...values), Math.max(1, ms), false),
      setInterval: (callback: Callback, ms = 0, ...values: unknown[]) =>
        this.#set(() => callback(...values), Math.max(1, ms), true),
      clearTimeout: (timer: unknown) => end(timer, clearTimeout),
      clearInterval: (timer: unknown) => end(timer, clearInterval),
    });
    return () => {
      this.#timers.clear();
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval });
    };
  }

  nowMs(): number {
    return startMs + this.#movedMs;
  }

  monotonicMs(): number {
    return 1000 + this.#movedMs;
  }

  /** Runs the timers that are due meanwhile, each with what follows from it. */
  async move(ms: number): Promise<void> {
    const untilMs = this.#movedMs + ms;
    await this.settled();
    for (;;) {
      let next: HeldTimer | undefined;
      for (const timer of this.#timers)
        if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
      if (next === undefined) break;
      this.#movedMs = Math.max(this.#movedMs, next.atMs);
      if (next.eachMs === undefined) this.#timers.delete(next);
      else next.atMs += next.eachMs;
      next.callback();
      await this.settled();
    }
    this.#movedMs = untilMs;
  }

  #set(callback: () => void, ms: number, isRepeated: boolean): HeldTimer {
    const timer = new HeldTimer(callback, this.#movedMs + ms, isRepeated ? ms : undefined);
    this.#timers.add(timer);
    return timer;
  }
}

/** Work under way without a timer comes to its end. */
export async function turns(count: number = 2): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}
