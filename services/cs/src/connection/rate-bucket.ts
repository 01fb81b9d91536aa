/** An amount a second: a bucket that fills evenly up to a burst, and may be in debt. */
export class RateBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #left: number;
  #asOfMs: number;

  constructor(perSecond: number, burstMs: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = Math.max(1, this.#perMs * burstMs);
    this.#left = this.#capacity;
    this.#asOfMs = nowMs;
  }

  /** Whether so much is there; where it is more than the bucket holds, whether the bucket is full. */
  has(amount: number, nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#left >= Math.min(amount, this.#capacity);
  }

  /** Takes the amount, whether it is there or not. False: the bucket is in debt. */
  take(amount: number, nowMs: number): boolean {
    this.#fill(nowMs);
    this.#left -= amount;
    return this.#left >= 0;
  }

  /** Time until the bucket is out of debt. */
  debtMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#left >= this.#capacity;
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#asOfMs) return;
    this.#left = Math.min(this.#capacity, this.#left + (nowMs - this.#asOfMs) * this.#perMs);
    this.#asOfMs = nowMs;
  }
}
