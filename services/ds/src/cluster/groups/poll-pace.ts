const eachMsMin = 100;
const eachMsMax = 2000;

/** When queues are looked at of which nobody tells: the later the longer there was nothing. */
export class PollPace {
  #atMs = 0;
  #eachMs = eachMsMin;
  #readTo = -1;

  isDue(nowMs: number): boolean {
    return this.#atMs <= nowMs;
  }

  /** `readTo`: how far they have been read. */
  polled(nowMs: number, readTo: number): void {
    this.#eachMs = readTo === this.#readTo ? Math.min(2 * this.#eachMs, eachMsMax) : eachMsMin;
    this.#readTo = readTo;
    this.#atMs = nowMs + this.#eachMs;
  }

  /** Something has arrived. */
  hurry(): void {
    this.#eachMs = eachMsMin;
  }
}
