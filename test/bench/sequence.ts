// Whether the messages of one publisher arrive at one subscriber once, all and in order.

/** Missing numbers are remembered up to here, so that a broken broker cannot fill the memory. */
const missingMax = 100_000;

export class Sequence {
  received = 0;
  duplicates = 0;
  disorder = 0;
  #expected = 0;
  readonly #missing = new Set<number>();

  /** False for a duplicate. */
  take(number: number): boolean {
    if (number !== this.#expected) return this.#odd(number);
    this.#expected = number + 1;
    this.received += 1;
    return true;
  }

  #odd(number: number): boolean {
    if (number < this.#expected) {
      if (!this.#missing.delete(number)) {
        this.duplicates += 1;
        return false;
      }
      this.disorder += 1;
    } else {
      for (let each = this.#expected; each < number; each += 1) {
        if (this.#missing.size < missingMax) this.#missing.add(each);
      }
      this.#expected = number + 1;
    }
    this.received += 1;
    return true;
  }
}
