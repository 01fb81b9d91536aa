import type { Clock } from '@lmqtt/common/clock';
import type { StreamEnd } from './ds-stream.ts';

/** ds will not have this node: one sentence for whoever started it. */
export class LinkRefused extends Error {
  override readonly name: string = 'LinkRefused';
}

/**
 * Whether any ds has taken this node in. Before, a refusal is for good, but for a node id in use,
 * which may be this node's own life before, whose lease still runs; afterwards ds is asked again.
 */
export class FirstAttachment {
  /** Rejects with {@link LinkRefused}. */
  readonly came: Promise<void>;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #attached = false;
  #inUseSinceMs: number | undefined = undefined;

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.came = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not wait for it is not to fall over it.
    this.came.catch(() => {});
  }

  succeeded(): void {
    this.#attached = true;
    this.#resolve();
  }

  /** False: ds is to be asked again. */
  refused({ refusal, reason }: StreamEnd): boolean {
    if (this.#attached) return false;
    if (refusal === 'node in use') {
      const nowMs = this.#clock.monotonicMs();
      this.#inUseSinceMs ??= nowMs;
      if (nowMs - this.#inUseSinceMs < 2 * this.#leaseMs) return false;
    }
    this.#reject(new LinkRefused(`ds refused this node: ${reason}`));
    return true;
  }
}
