import { decodeBlock } from '../../journal/block.ts';
import { SegmentWithoutHead } from '../../journal/failure.ts';
import type { BlockList, JournalSegments, Written } from '../../journal/journal.ts';

const tablesMax = 64;
/** Maximum number of blocks in all tables; a block takes 9 bytes. */
const blocksMax = 4_000_000;

/** The segment's file is gone, or nothing in it can be read. */
export class SegmentUnreadable extends Error {
  override readonly name = 'SegmentUnreadable';
  readonly segment: number;

  constructor(segment: number, cause: unknown) {
    super(`segment ${segment} cannot be read`, { cause });
    this.segment = segment;
  }
}

/** Positions of the blocks of a segment, and which of them have been checked. */
export class SegmentBlocks {
  readonly segment: number;
  /** Ascending; all blocks with messages, but for those that are known to be damaged. */
  starts: number[] | Uint32Array;
  lengths: number[] | Uint32Array;
  /** By index: 1, the sum was right; the list may grow. */
  #checked = new Uint8Array(0);
  /** By start. */
  readonly #damaged = new Set<number>();
  readonly #salt: number;

  constructor(segment: number, { salt, starts, lengths }: BlockList) {
    this.segment = segment;
    this.starts = starts;
    this.lengths = lengths;
    this.#salt = salt;
  }

  /** Index of the block that holds the position; −1: none that can be read. */
  indexOf(position: number): number {
    const index = this.firstFrom(position + 1) - 1;
    const start = this.starts[index];
    if (start === undefined || this.#damaged.has(start)) return -1;
    return position < start + (this.lengths[index] ?? 0) ? index : -1;
  }

  /** Index of the first block that begins there or later. */
  firstFrom(position: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  isChecked(index: number): boolean {
    return this.#checked[index] === 1;
  }

  isDamaged(index: number): boolean {
    return this.#damaged.has(this.starts[index] ?? 0);
  }

  /**
   * Checks a block whose bytes are at `buffer[at … at + length)`. True: it has just been found
   * damaged.
   */
  check(index: number, buffer: Buffer, at: number, bytes: number): boolean {
    const start = this.starts[index] ?? 0;
    const length = this.lengths[index] ?? 0;
    const block = length <= bytes ? decodeBlock(buffer, at, length, this.#salt) : undefined;
    if (typeof block === 'object' && block.bytes === length) {
      this.#mark(index, 1);
      return false;
    }
    this.#mark(index, 0);
    if (this.#damaged.has(start)) return false;
    this.#damaged.add(start);
    return true;
  }

  #mark(index: number, value: 0 | 1): void {
    if (index >= this.#checked.length) {
      const longer = new Uint8Array(Math.max(this.starts.length, 2 * this.#checked.length));
      longer.set(this.#checked);
      this.#checked = longer;
    }
    this.#checked[index] = value;
  }
}

/**
 * The tables of the segments that are read from. A segment that this process writes gets its table
 * on the way; any other, and one whose table was evicted, by a look at the headers of all blocks.
 */
export class BlockTables {
  readonly #segments: JournalSegments;
  readonly #tables = new Map<number, Promise<SegmentBlocks>>();
  readonly #sizes = new Map<number, number>();
  /** Starts of the blocks in the segment that is being written. */
  #starts: number[] = [];
  #lengths: number[] = [];
  #open = -1;

  constructor(segments: JournalSegments) {
    this.#segments = segments;
  }

  /** A block with messages has become durable. */
  written({ segment, position, bytes }: Written): void {
    if (segment !== this.#open) {
      this.#open = segment;
      this.#starts = [];
      this.#lengths = [];
    }
    this.#starts.push(position);
    this.#lengths.push(bytes);
  }

  of(segment: number): Promise<SegmentBlocks> {
    let table = this.#tables.get(segment);
    if (table === undefined) {
      table = this.#make(segment);
      const made = table;
      made.then(
        ({ starts }) => {
          this.#sizes.set(segment, starts.length);
          this.#evict();
        },
        () => {
          if (this.#tables.get(segment) === made) this.#tables.delete(segment);
        },
      );
    } else {
      this.#tables.delete(segment);
    }
    this.#tables.set(segment, table);
    return table;
  }

  /** Evicts the tables that were used longest ago. */
  #evict(): void {
    let blocks = 0;
    for (const segment of [...this.#tables.keys()].toReversed()) {
      blocks += this.#sizes.get(segment) ?? 0;
      const isFirst = blocks === this.#sizes.get(segment);
      if (isFirst || (blocks <= blocksMax && this.#tables.size <= tablesMax)) continue;
      this.#tables.delete(segment);
      this.#sizes.delete(segment);
    }
  }

  async #make(segment: number): Promise<SegmentBlocks> {
    try {
      if (segment !== this.#open) {
        return new SegmentBlocks(segment, await this.#segments.blocks(segment));
      }
      // The lists grow while the segment is written, and are let go with its successor.
      const starts = this.#starts;
      const lengths = this.#lengths;
      const salt = await this.#segments.saltOf(segment);
      return new SegmentBlocks(segment, { salt, starts, lengths });
    } catch (error) {
      if (isGone(error)) throw new SegmentUnreadable(segment, error);
      throw error;
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SegmentWithoutHead || codeOf(error) === 'ENOENT';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
