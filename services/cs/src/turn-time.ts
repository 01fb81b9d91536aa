import type { Clock } from '@lmqtt/common/clock';

/** The time as of this turn: the clocks are read once for all that asks in one turn. */
export class TurnTime {
  readonly #clock: Clock;
  #wall = 0;
  #monotonic = 0;
  #fresh = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get wallMs(): number {
    if (!this.#fresh) this.#look();
    return this.#wall;
  }

  get monotonicMs(): number {
    if (!this.#fresh) this.#look();
    return this.#monotonic;
  }

  #look(): void {
    this.#fresh = true;
    this.#wall = this.#clock.nowMs();
    this.#monotonic = this.#clock.monotonicMs();
    setImmediate(this.#newTurn);
  }

  readonly #newTurn = (): void => {
    this.#fresh = false;
  };
}
