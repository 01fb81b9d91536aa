import { nextTurn } from './pause.ts';

/** Subscriptions, or the like, that are worked on in one turn of the event loop for one owner. */
export const portionMax = 200;
/** The same for all owners together. */
export const turnMax = 2000;
/** The part of it that goes to work that was begun in earlier turns, so that little work is soon. */
const laterMax = turnMax / 2;

/**
 * The work on each of them as they are now, so many in one turn of the event loop. undefined: it is
 * done, since there are few, and others have not had the turn for themselves.
 */
export function inPortions<T>(
  items: readonly T[],
  work: (item: T) => void,
): Promise<void> | undefined {
  return turns.run(items, work);
}

/** Work whose items are taken in turn with those of others. */
interface Work {
  /** The most that one portion has. */
  readonly size: number;
  /** Works on one portion; true: nothing is left. */
  next(): boolean;
}

/** The turns of the loop that all work in portions of this process shares. */
class Turns {
  #left = turnMax;
  #waiting: Work[] = [];
  #running = false;

  run<T>(items: readonly T[], work: (item: T) => void): Promise<void> | undefined {
    const { length } = items;
    if (length === 0) return undefined;
    if (!this.#running) void this.#run();
    if (length <= portionMax && this.#left > 0) {
      this.#left -= length;
      for (const item of items) work(item);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const copy = [...items];
      let at = 0;
      const next = (): boolean => {
        const end = Math.min(length, at + portionMax);
        try {
          for (; at < end; at += 1) work(copy[at]!);
        } catch (error) {
          reject(error);
          return true;
        }
        if (at < length) return false;
        resolve();
        return true;
      };
      const size = Math.min(length, portionMax);
      if (this.#left > 0) {
        this.#left -= size;
        if (next()) return;
      }
      this.#waiting.push({ size, next });
    });
  }

  /** Runs for as long as each turn had something. */
  async #run(): Promise<void> {
    this.#running = true;
    do {
      await nextTurn();
      this.#left = turnMax;
      this.#later();
    } while (this.#left < turnMax);
    this.#running = false;
  }

  #later(): void {
    const least = turnMax - laterMax;
    const all = this.#waiting;
    let at = 0;
    const again: Work[] = [];
    for (; at < all.length && this.#left > least; at += 1) {
      const work = all[at]!;
      this.#left -= work.size;
      if (!work.next()) again.push(work);
    }
    this.#waiting = at === 0 ? all : [...all.slice(at), ...again];
  }
}

const turns = new Turns();
