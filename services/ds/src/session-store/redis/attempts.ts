import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';

const pauseMs = 200;

/**
 * Work that goes on until Redis has answered. Hides the pauses, and that a store which is closed
 * gives up.
 */
export class Attempts {
  readonly #pauses = new Map<NodeJS.Timeout, () => void>();
  #closed = false;

  /** `undefined`: once more. Rejects only where the store is closed. */
  async until<T>(work: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      this.#check();
      try {
        const result = await work();
        if (result !== undefined) return result;
      } catch {
        // Away, or it has not said: the work is such that it may be done twice.
      }
      await this.pause(pauseMs);
    }
  }

  pause(ms: number): Promise<void> {
    this.#check();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#pauses.delete(timer);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#pauses.set(timer, end);
    });
  }

  close(): void {
    this.#closed = true;
    for (const end of [...this.#pauses.values()]) end();
  }

  #check(): void {
    if (this.#closed) throw unavailable('the session store is closed');
  }
}

export function unavailable(reason: string, cause?: unknown): StoreFailure {
  return new StoreFailure(reason, ReasonCode.serverUnavailable, cause);
}

/** The failure in the form in which callers of the store get it. */
export function failureOf(error: unknown): unknown {
  if (error instanceof StoreFailure || !(error instanceof Error)) return error;
  return unavailable(error.message, error);
}

/** Work that is not done in time goes on, and its caller is told that its outcome is unknown. */
export async function within<T>(work: Promise<T>, waitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable('Redis does not answer')), waitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
