/** Maximum and minimum number of expensive operations that are begun in one turn. */
const portionMax = 64;
const portionMin = 16;
/** A turn that takes longer than this is long: what else is due waits for it. */
const longMs = 50;
const shortMs = 25;

/**
 * How much of something expensive is begun in one turn of the event loop: less where turns are
 * long, so that what is due (renewals, answers, acknowledgements) comes in between; more where they
 * are short.
 */
export class TurnPace {
  readonly #onTurn: () => void;
  readonly #nowMs: () => number;
  #portion = 32;
  #begun = 0;
  #scheduled = false;
  #startMs = 0;

  /** `onTurn` is called in the turn after one in which something was begun, or asked for. */
  constructor(onTurn: () => void, nowMs: () => number = () => performance.now()) {
    this.#onTurn = onTurn;
    this.#nowMs = nowMs;
  }

  /** Number of operations that may be begun in one turn at present. */
  get size(): number {
    return this.#portion;
  }

  /**
   * Whether one more may begin in this turn, of at most so many; false: `onTurn` says when to ask
   * again.
   */
  begin(max: number = portionMax): boolean {
    this.again();
    if (this.#begun >= Math.min(this.#portion, max)) return false;
    this.#begun += 1;
    return true;
  }

  /** Has `onTurn` called in the next turn. */
  again(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#startMs = this.#nowMs();
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    const tookMs = this.#nowMs() - this.#startMs;
    if (tookMs > longMs) this.#portion = Math.max(portionMin, this.#portion >> 1);
    else if (tookMs < shortMs && this.#begun >= this.#portion) {
      this.#portion = Math.min(portionMax, this.#portion + 4);
    }
    this.#begun = 0;
    this.#scheduled = false;
    this.#onTurn();
  };
}
