interface Timer {
  readonly handle: NodeJS.Timeout;
  running: Promise<void> | undefined;
}

/** Work that is done again and again: never twice at one time, and what fails is reported. */
export class Timers {
  readonly #timers: Timer[] = [];
  readonly #failed: (name: string, error: unknown) => void;

  constructor(failed: (name: string, error: unknown) => void) {
    this.#failed = failed;
  }

  every(name: string, everyMs: number, work: () => void | Promise<void>): void {
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#failed(name, error);
      }
    };
    const timer: Timer = {
      running: undefined,
      handle: setInterval(() => {
        if (timer.running !== undefined) return;
        timer.running = run().finally(() => {
          timer.running = undefined;
        });
      }, everyMs),
    };
    timer.handle.unref();
    this.#timers.push(timer);
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer.handle);
    for (const timer of this.#timers) await timer.running;
  }
}
