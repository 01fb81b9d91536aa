/**
 * Things in the order in which they fall due; a binary heap. What was cancelled is skipped by its
 * taker.
 */
export class DueTimes<T> {
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  add(dueAtMs: number, item: T): void {
    let at = this.#times.length;
    this.#times.push(dueAtMs);
    this.#items.push(item);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (this.#times[parent]! <= dueAtMs) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** The next one that is due; undefined: none is. */
  take(nowMs: number): T | undefined {
    if (this.#times.length === 0 || this.#times[0]! > nowMs) return undefined;
    const item = this.#items[0]!;
    const lastTime = this.#times.pop()!;
    const lastItem = this.#items.pop()!;
    if (this.#times.length > 0) {
      this.#times[0] = lastTime;
      this.#items[0] = lastItem;
      this.#sink();
    }
    return item;
  }

  #sink(): void {
    const count = this.#times.length;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      if (left >= count) return;
      const right = left + 1;
      const least = right < count && this.#times[right]! < this.#times[left]! ? right : left;
      if (this.#times[at]! <= this.#times[least]!) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const time = this.#times[a]!;
    this.#times[a] = this.#times[b]!;
    this.#times[b] = time;
    const item = this.#items[a]!;
    this.#items[a] = this.#items[b]!;
    this.#items[b] = item;
  }
}
