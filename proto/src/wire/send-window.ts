/** Minimum bytes under way on any link: fewer would not keep it busy. */
const bytesMin = 64 << 10;
/** Bytes under way on a stream that has not been measured. */
const bytesAtFirst = 128 << 10;
/** Time without anything under way after which the link counts as not measured. */
const idleMs = 1000;
/** A stretch of time over which the shortest round trip is remembered; two of them count. */
const stretchMs = 30_000;
const delayMsMin = 50;
const delayMsMax = 500;
/** Share of the delay past which the window grows slowly. */
const nearDelay = 0.75;
/** Bounds of the size of a part, which is a quarter of the window. */
export const partBytesMin: number = 16 << 10;
const partBytesMax: number = 256 << 10;

/** Time that frames may wait in the link for a lease of this length: far less than half of it. */
export function delayMsFor(leaseMs: number): number {
  return Math.min(delayMsMax, Math.max(delayMsMin, leaseMs / 6));
}

/**
 * How many bytes may be sent ahead of their acknowledgement, by the round trips that are measured:
 * as many as the link takes without keeping them waiting for longer than the delay. A wide link is
 * filled within a few round trips; a narrow one never has more in it than it carries in that time.
 */
export class SendWindow {
  readonly #bytesMax: number;
  #current: number;
  #shortestMs = Infinity;
  #shortestBeforeMs = Infinity;
  #stretchEndsMs = 0;
  /** Round trips that began before then say nothing of the window as it is now. */
  #reducedAtMs = -Infinity;
  #usedMs = -Infinity;

  constructor(bytesMax: number) {
    this.#bytesMax = Math.max(bytesMin, bytesMax);
    this.#current = Math.min(bytesAtFirst, this.#bytesMax);
  }

  get bytes(): number {
    return this.#current;
  }

  /** Size of the parts of a larger frame, so that other frames come between. */
  get partBytes(): number {
    return Math.min(partBytesMax, Math.max(partBytesMin, this.#current >>> 2));
  }

  /** Something is about to be sent, and nothing is under way. */
  begin(nowMs: number): void {
    if (nowMs - this.#usedMs > idleMs) this.#current = Math.min(bytesAtFirst, this.#current);
    this.#usedMs = nowMs;
  }

  /** Begins with another stream, which has not been measured. */
  reset(): void {
    this.#current = Math.min(bytesAtFirst, this.#bytesMax);
    this.#shortestMs = Infinity;
    this.#shortestBeforeMs = Infinity;
    this.#stretchEndsMs = 0;
    this.#reducedAtMs = -Infinity;
  }

  /**
   * So many bytes were acknowledged, the last of them sent at `sentMs`, when `underWay` bytes were
   * not acknowledged.
   */
  acknowledged(
    bytes: number,
    underWay: number,
    sentMs: number,
    nowMs: number,
    delayMs: number,
  ): void {
    this.#usedMs = nowMs;
    const tripMs = nowMs - sentMs;
    if (nowMs >= this.#stretchEndsMs) {
      this.#stretchEndsMs = nowMs + stretchMs;
      this.#shortestBeforeMs = this.#shortestMs;
      this.#shortestMs = tripMs;
    }
    this.#shortestMs = Math.min(this.#shortestMs, tripMs);
    const waitedMs = tripMs - Math.min(this.#shortestMs, this.#shortestBeforeMs);
    if (waitedMs > delayMs) {
      if (sentMs < this.#reducedAtMs) return;
      this.#reducedAtMs = nowMs;
      const factor = Math.max(0.5, delayMs / waitedMs);
      this.#current = Math.max(bytesMin, Math.floor(this.#current * factor));
    } else if (underWay * 2 >= this.#current) {
      const isNear = waitedMs > nearDelay * delayMs;
      const more = isNear ? (bytes * partBytesMin) / this.#current : bytes;
      this.#current = Math.min(this.#bytesMax, Math.floor(this.#current + more));
    }
  }
}
