/** How long a PINGRESP waits for answers that are due before it. */
const waitMs = 1000;

/**
 * PINGREQs that are not answered. PINGRESP leaves behind what the packets before it caused, so that
 * a client may take it for "all before is done"; but it does not wait long for a slow store.
 */
export class PendingPings {
  readonly #wake: () => void;
  #count = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  #overdue = false;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get waiting(): number {
    return this.#count;
  }

  add(): void {
    this.#count += 1;
  }

  /** Whether they are to be answered now, while so many answers are still to come. */
  due(unanswered: number): boolean {
    if (this.#count === 0) return false;
    if (unanswered === 0 || this.#overdue) return true;
    this.#timer ??= setTimeout(() => {
      this.#overdue = true;
      this.#wake();
    }, waitMs);
    return false;
  }

  /** How many there are; none is left. */
  take(): number {
    const count = this.#count;
    this.cancel();
    return count;
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#overdue = false;
    this.#count = 0;
  }
}
