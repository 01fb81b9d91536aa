// A set of strings in the order of their UTF-16 code units, for seeking. Hides that it is a list of
// short sorted arrays: an insert moves at most one array's worth of pointers, and a million keys
// cost little more than the pointers to them. Invariants: no block is empty; blocks are in order; a
// block holds at most `blockKeysMax` keys.

const blockKeysMax = 512;

export class OrderedKeys {
  readonly #blocks: string[][] = [];

  add(key: string): void {
    if (this.#blocks.length === 0) {
      this.#blocks.push([key]);
      return;
    }
    const index = this.#blockOf(key);
    const block = this.#blocks[index]!;
    const at = lowerBound(block, key);
    if (block[at] === key) return;
    // Keys that come in rising order fill their blocks instead of leaving each half empty.
    if (at === block.length && block.length === blockKeysMax) {
      this.#blocks.splice(index + 1, 0, [key]);
      return;
    }
    block.splice(at, 0, key);
    if (block.length > blockKeysMax)
      this.#blocks.splice(index + 1, 0, block.splice(blockKeysMax >> 1));
  }

  delete(key: string): void {
    if (this.#blocks.length === 0) return;
    const index = this.#blockOf(key);
    const block = this.#blocks[index]!;
    const at = lowerBound(block, key);
    if (block[at] !== key) return;
    block.splice(at, 1);
    if (block.length === 0) {
      this.#blocks.splice(index, 1);
      return;
    }
    const next = this.#blocks[index + 1];
    if (next !== undefined && block.length + next.length <= blockKeysMax >> 1) {
      block.push(...next);
      this.#blocks.splice(index + 1, 1);
    }
  }

  /** A cursor that stands on the first key that is not before `key`. */
  seek(key: string): KeyCursor {
    return new KeyCursor(this.#blocks, (wanted) => this.#blockOf(wanted), key);
  }

  /** The last block whose first key is not after `key`, or the first block. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#blocks[middle]![0]! <= key) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Valid until the set changes. */
class KeyCursor {
  readonly #blocks: readonly (readonly string[])[];
  readonly #blockOf: (key: string) => number;
  #block = 0;
  #at = 0;

  constructor(
    blocks: readonly (readonly string[])[],
    blockOf: (key: string) => number,
    key: string,
  ) {
    this.#blocks = blocks;
    this.#blockOf = blockOf;
    this.seek(key);
  }

  /** undefined past the end. */
  get key(): string | undefined {
    return this.#blocks[this.#block]?.[this.#at];
  }

  next(): void {
    this.#at += 1;
    this.#settle();
  }

  seek(key: string): void {
    this.#block = this.#blockOf(key);
    const block = this.#blocks[this.#block];
    this.#at = block === undefined ? 0 : lowerBound(block, key);
    this.#settle();
  }

  #settle(): void {
    const block = this.#blocks[this.#block];
    if (block === undefined || this.#at < block.length) return;
    this.#block += 1;
    this.#at = 0;
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
