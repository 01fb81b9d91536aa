/** Publishes of one client a second: a bucket that fills evenly and holds one second's worth. */
export class PublishRate {
  readonly #perSecond: number;
  #left: number;
  #lastMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  /** False where the rate is exceeded. */
  take(nowMs: number): boolean {
    if (this.#lastMs !== 0) {
      const gained = ((nowMs - this.#lastMs) / 1000) * this.#perSecond;
      this.#left = Math.min(this.#perSecond, this.#left + gained);
    }
    this.#lastMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
