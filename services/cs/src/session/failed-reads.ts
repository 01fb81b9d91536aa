/** After reads that failed the next waits, longer each time: the partition may be away for long. */
const retryMsMin = 50;
const retryMsMax = 1000;
/**
 * Longest wait while the partition is away for long, and between tries to turn a start by time into
 * an offset: every session of the node tries.
 */
const awayRetryMsMax = 10_000;
/** So many reads that failed one after the other, about half a minute: it is away for long. */
const awayFailures = 30;
/** So many, about half a second: it is away, and holds up no other partition. */
const failuresOfOneAway = 4;
/** Interval after which the store is asked again if something arrived meanwhile. */
const hurriedMs = 250;

/** Reads of one partition by one cursor that failed one after the other, and the wait for the next. */
export class FailedReads {
  readonly #retry: () => void;
  /** Set while the next read waits. */
  #timer: NodeJS.Timeout | undefined = undefined;
  #waitMs = 0;
  #count = 0;

  /** `retry` is called when a wait is over. */
  constructor(retry: () => void) {
    this.#retry = retry;
  }

  /** So many failed that the partition counts as away: one that fails alone may be late only. */
  get areMany(): boolean {
    return this.#count >= failuresOfOneAway;
  }

  get waits(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Another read failed. `now`: it is tried at once, since another ds may answer; `away`: the next
   * waits, and from now on the partition counts as away; `waits`: the next waits.
   */
  another(startIsTime: boolean): 'now' | 'away' | 'waits' {
    this.#count += 1;
    if (this.#waitMs === 0) {
      this.#waitMs = retryMsMin;
      return 'now';
    }
    const isAwayLong = startIsTime || this.#count > awayFailures;
    this.#waitMs = Math.min(isAwayLong ? awayRetryMsMax : retryMsMax, 2 * this.#waitMs);
    this.#wait();
    return this.#count === failuresOfOneAway ? 'away' : 'waits';
  }

  /** Something arrived: a long wait is made short. */
  hurry(): void {
    if (this.#timer === undefined || this.#waitMs <= hurriedMs) return;
    this.#waitMs = hurriedMs;
    this.#wait();
  }

  stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Another ds answers from now on: the next read is tried at once, and so is one after it. */
  startAnew(): void {
    this.stopWaiting();
    this.#waitMs = 0;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#retry();
    }, this.#waitMs);
    this.#timer.unref();
  }
}
