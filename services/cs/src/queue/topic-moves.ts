/**
 * How long after the first message of a placement the first message of each topic is compared with
 * what its topic may have left in other partitions. Pushes that are later than that are lost.
 */
const freshMs = 30_000;
/** Topics that are known to have been compared, of one feed. */
const topicsMax = 1000;

/**
 * Topics that have just moved to another partition: their messages have a higher placement number
 * than any before. What was stored before the move may be pushed later than what is behind it.
 */
export class TopicMoves {
  /** Monotonic, as of this turn. */
  readonly #nowMs: () => number;
  #highest = -1;
  /** The lowest number that is new. */
  #from = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  saw(placement: number): void {
    if (placement <= this.#highest) return;
    const nowMs = this.#nowMs();
    if (nowMs >= this.#untilMs) this.#from = placement;
    this.#untilMs = nowMs + freshMs;
    this.#highest = placement;
  }

  isFresh(placement: number): boolean {
    this.saw(placement);
    return placement >= this.#from && this.#nowMs() < this.#untilMs;
  }
}

/**
 * Beginnings in one feed of topics that have just moved. Only what comes first of a topic is
 * compared with other partitions: all that follows is behind it.
 */
export class MovedTopics {
  /** Lowest offset with each placement, by topic. */
  readonly #firsts: Map<string, { readonly placement: number; readonly offset: number }> =
    new Map();

  /** False: something of the topic with that placement is before it, and is compared instead. */
  isFirst(topic: string, placement: number, offset: number): boolean {
    const known = this.#firsts.get(topic);
    if (known !== undefined && known.placement === placement && known.offset < offset) return false;
    if (known !== undefined && known.placement > placement) return true;
    if (this.#firsts.size >= topicsMax && known === undefined) this.#firsts.clear();
    this.#firsts.set(topic, { placement, offset });
    return true;
  }
}
