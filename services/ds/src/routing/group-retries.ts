import { systemClock } from '@lmqtt/common/clock';
import { retryDelay } from '@lmqtt/common/retry-delay';

/** Redeliveries that do not wait: members come and go. */
const freeTries = 2;

interface GroupPlace {
  readonly partition: number;
  readonly offset: number;
}

interface Later extends GroupPlace {
  readonly dueMs: number;
}

/**
 * Messages of a shared group that members had when they went. A message that ends its members would
 * go from one to the next for ever: from the second time on it waits, longer each time, while others
 * are given out. The message itself is in its queue; what is known of its tries ends with the process.
 */
export class GroupRetries {
  readonly #intervalMs: number;
  readonly #again: (places: readonly GroupPlace[]) => void;
  readonly #tries = new Map<string, number>();
  readonly #later = new Map<string, Later>();
  /** On their way to the dead letters. */
  readonly #givenUp = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `again`: their time has come. */
  constructor(intervalMs: number, again: (places: readonly GroupPlace[]) => void) {
    this.#intervalMs = intervalMs;
    this.#again = again;
  }

  /** It is not to be given out now. */
  holds(key: string): boolean {
    return this.#later.has(key) || this.#givenUp.has(key);
  }

  /** A member had it and is gone; how often that has been so. */
  lost(key: string): number {
    const tries = (this.#tries.get(key) ?? 0) + 1;
    this.#tries.set(key, tries);
    return tries;
  }

  /** False: it is to be given out at once. */
  waits(key: string, place: GroupPlace, tries: number): boolean {
    const delayMs = tries <= freeTries ? 0 : retryDelay(tries - freeTries, this.#intervalMs);
    if (delayMs === 0) return false;
    const dueMs = systemClock.monotonicMs() + delayMs;
    this.#later.set(key, { ...place, dueMs });
    this.#wake();
    return true;
  }

  giveUp(key: string): void {
    this.#givenUp.add(key);
  }

  /** It is done with. */
  forget(key: string): void {
    if (this.#tries.size > 0) this.#tries.delete(key);
    if (this.#later.size > 0) this.#later.delete(key);
    if (this.#givenUp.size > 0) this.#givenUp.delete(key);
  }

  #wake(): void {
    if (this.#timer !== undefined) return;
    let dueMs = Infinity;
    for (const later of this.#later.values()) dueMs = Math.min(dueMs, later.dueMs);
    if (dueMs === Infinity) return;
    this.#timer = setTimeout(() => this.#takeDue(), Math.max(1, dueMs - systemClock.monotonicMs()));
    this.#timer.unref();
  }

  #takeDue(): void {
    this.#timer = undefined;
    const nowMs = systemClock.monotonicMs();
    const due: Later[] = [];
    for (const [key, later] of this.#later) {
      if (later.dueMs > nowMs) continue;
      this.#later.delete(key);
      due.push(later);
    }
    this.#wake();
    if (due.length > 0) this.#again(due);
  }
}
