import type { Clock } from '@lmqtt/common/clock';

interface OpenHook {
  readonly dueMs: number;
  readonly late: () => void;
}

/**
 * Hooks whose answers are awaited, and the time that each has left. All have the same, so the one
 * that began first is due first, and one timer is enough for any number of them: it is set for the
 * first, and finds most of them gone. It keeps no process alive.
 */
export class OpenHooks {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #hooks = new Set<OpenHook>();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(timeoutMs: number, clock: Clock) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  get size(): number {
    return this.#hooks.size;
  }

  /** `late` is called once the time is over, unless it was taken out before. */
  add(late: () => void): OpenHook {
    const hook = { dueMs: this.#clock.monotonicMs() + this.#timeoutMs, late };
    this.#hooks.add(hook);
    if (this.#timer === undefined) this.#wait(this.#timeoutMs);
    return hook;
  }

  /** Whether it was still there. */
  take(hook: OpenHook): boolean {
    return this.#hooks.delete(hook);
  }

  /** At least 1 ms, as a timer may fire a little early. */
  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#due(), Math.max(1, Math.ceil(ms))).unref();
  }

  /** Hooks that begin meanwhile leave the timer to the end of this. */
  #due(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const hook of this.#hooks) {
      if (hook.dueMs > nowMs) {
        this.#wait(hook.dueMs - nowMs);
        return;
      }
      this.#hooks.delete(hook);
      hook.late();
    }
    this.#timer = undefined;
  }
}
