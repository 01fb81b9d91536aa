/**
 * First in, first out, in a ring of slots. What is taken out is let go at once: a queue that is
 * never quite empty must not keep what has passed through it alive.
 */
export class Fifo<T> {
  #slots: (T | undefined)[] = [];
  #head = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  push(item: T): void {
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#count) & (this.#slots.length - 1)] = item;
    this.#count += 1;
  }

  /** The item that many places behind the first; undefined past the last. */
  at(index: number): T | undefined {
    if (index >= this.#count) return undefined;
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)];
  }

  shift(): T | undefined {
    if (this.#count === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#count -= 1;
    // An idle queue holds next to nothing.
    if (this.#count === 0 && this.#slots.length > keptSlots) {
      this.#slots = [];
      this.#head = 0;
    }
    return item;
  }

  /** Puts an item before the one at the index. */
  insert(index: number, item: T): void {
    this.push(item);
    for (let at = this.#count - 1; at > index; at--) {
      const to = (this.#head + at) & (this.#slots.length - 1);
      const from = (this.#head + at - 1) & (this.#slots.length - 1);
      this.#slots[to] = this.#slots[from];
    }
    this.#slots[(this.#head + index) & (this.#slots.length - 1)] = item;
  }

  #grow(): void {
    const before = this.#slots;
    const slots: (T | undefined)[] = [];
    for (let index = 0; index < this.#count; index++) {
      slots.push(before[(this.#head + index) & (before.length - 1)]);
    }
    const size = Math.max(4, before.length * 2);
    while (slots.length < size) slots.push(undefined);
    this.#slots = slots;
    this.#head = 0;
  }
}

const keptSlots = 256;
