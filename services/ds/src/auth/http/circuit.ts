import type { Clock } from '@lmqtt/common/clock';

const failuresMax = 5;
const restMs = 5000;

/**
 * Whether a server is worth asking. After some failures in a row it is left alone for a while, then
 * one question tries it: an answer closes the circuit, a failure leaves it alone again.
 */
export class Circuit {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #failures = 0;
  #restsUntilMs = 0;
  #trying = false;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#failures >= failuresMax;
  }

  /** True: ask, and say what came of it. */
  mayAsk(): boolean {
    if (!this.isOpen) return true;
    if (this.#trying || this.#clock.monotonicMs() < this.#restsUntilMs) return false;
    this.#trying = true;
    return true;
  }

  answered(): void {
    this.#failures = 0;
    this.#trying = false;
  }

  failed(): void {
    this.#failures += 1;
    this.#trying = false;
    this.#restsUntilMs = this.#clock.monotonicMs() + restMs;
  }
}
