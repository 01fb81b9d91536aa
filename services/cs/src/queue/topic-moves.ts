/** Pushes of what was stored before a move have come by then, or are never to come. */
const freshMs = 5000;

/**
 * Topics that have just moved to another partition: their messages have a higher placement number
 * than any before. What was stored before the move may be pushed later than what is behind it.
 */
export class TopicMoves {
  /** Monotonic, as of this turn. */
  private readonly nowMs: () => number;
  private highest = -1;
  /** The lowest number that is new. */
  private from = 0;
  private untilMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  saw(placement: number): void {
    if (placement <= this.highest) return;
    const nowMs = this.nowMs();
    if (nowMs >= this.untilMs) this.from = placement;
    this.untilMs = nowMs + freshMs;
    this.highest = placement;
  }

  isFresh(placement: number): boolean {
    return placement >= this.from && this.nowMs() < this.untilMs;
  }
}
