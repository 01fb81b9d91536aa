// How busy the brokers are with what is here, for those who may wait a little with what they tell.
const gatherMsMax = 8;
/**
 * Part of the sends, and of those that wait behind them, that may be answered before anybody is
 * told.
 */
const gatheredPart = 0.5;
const underWayPart = 0.1;
/** How much one answer changes the average. */
const averagePart = 0.02;

export class SendLoad {
  /** Sends, and appends that wait behind them or for the answers of those before them. */
  #unanswered = 0;
  #outstanding = 0;
  /** From a send to its answer, on the average. */
  #answeredInMs = 0;

  appended(): void {
    this.#unanswered += 1;
  }

  released(): void {
    this.#unanswered -= 1;
  }

  sent(): void {
    this.#outstanding += 1;
  }

  /** Whatever the answer is. */
  answered(): void {
    this.#outstanding -= 1;
  }

  stored(tookMs: number): void {
    this.#answeredInMs += (tookMs - this.#answeredInMs) * averagePart;
  }

  /**
   * How long nobody misses an answer, since behind each send others wait that keep its lane going:
   * what is told once in a while costs less than what is told one by one.
   */
  get gatherMs(): number {
    if (this.#outstanding === 0) return 0;
    const waiting = this.#unanswered / this.#outstanding - 1;
    const turns = Math.max(waiting * gatheredPart, underWayPart);
    return Math.min(gatherMsMax, Math.floor(turns * this.#answeredInMs));
  }
}
