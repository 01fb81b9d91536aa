import type { Broker } from './broker.ts';

/** How many pulls of readers are under way at a broker; the others wait in their order. */
export class PullSlots {
  readonly #max: number;
  readonly #taken = new Map<Broker, number>();
  readonly #waiting = new Map<Broker, (() => void)[]>();

  constructor(max: number) {
    this.#max = max;
  }

  take(broker: Broker): Promise<void> | undefined {
    const taken = this.#taken.get(broker) ?? 0;
    if (taken < this.#max) {
      this.#taken.set(broker, taken + 1);
      return undefined;
    }
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(broker);
      if (waiting === undefined) this.#waiting.set(broker, [resolve]);
      else waiting.push(resolve);
    });
  }

  give(broker: Broker): void {
    const next = this.#waiting.get(broker)?.shift();
    if (next === undefined) this.#taken.set(broker, (this.#taken.get(broker) ?? 1) - 1);
    else next();
  }
}
