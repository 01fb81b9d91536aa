import { TurnPace } from '@lmqtt/common/turn-pace';

/**
 * CONNECTs of all connection nodes, in the order in which they come, as many in one turn of the
 * loop as leave it short: renewals, answers and acknowledgements go in between. How many there can
 * be is the connection nodes' limit.
 */
export class ConnectPace {
  readonly #pace: TurnPace = new TurnPace(() => this.#run());
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  get waiting(): number {
    return this.#waiting.length - this.#taken;
  }

  /** Resolves when the caller's turn comes; undefined: the turn is now. */
  turn(): Promise<void> | undefined {
    if (this.waiting === 0 && this.#pace.begin()) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#pace.again();
    });
  }

  #run(): void {
    while (this.waiting > 0 && this.#pace.begin()) {
      this.#waiting[this.#taken]!();
      this.#taken += 1;
    }
    if (this.#taken === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#taken = 0;
    }
  }
}
