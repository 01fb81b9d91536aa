import type { JournalSegments, Written } from '../../journal/journal.ts';
import { BlockTables, type SegmentBlocks } from './segment-blocks.ts';

/** Size of a stretch, whose blocks are read, checked and kept together. */
const pageBytes = 256 << 10;
const pagesBytesMax = 24 << 20;
const recentBytesMax = 16 << 20;
/**
 * Number of wanted records in a page from which it is read whole; with fewer, each is read by
 * itself.
 */
const pageWorth = 4;
/** Size past which a block is not kept, and is read by one reader at a time. */
const smallBlockBytes = 64 << 10;

const nothing: Written = {
  segment: -1,
  position: 0,
  buffer: Buffer.alloc(0),
  start: 0,
  bytes: 0,
};

/** The blocks of a stretch as they were read: from `start` to `end` in the segment. */
interface Page {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Places of records; after `load` their bytes are at `buffers[i]`, from `starts[i]` on. A record in
 * a damaged block has no buffer.
 */
export interface WantedRecords {
  readonly segments: number[];
  readonly positions: number[];
  readonly lengths: number[];
  readonly buffers: (Buffer | undefined)[];
  readonly starts: number[];
}

/** A block whose sum is wrong, or that is no longer there. Told once for each. */
export interface DamagedBlock {
  readonly segment: number;
  readonly position: number;
}

/**
 * Brings records from the log into memory. The blocks written last are still there. Of the rest,
 * pages are read and kept for the queues whose messages lie side by side and are read together.
 * Whatever comes from the disk is checked by the sum of its block: a page each time that it is
 * read, a block of which one record is wanted the first time. Buffers are never used twice,
 * messages point into them.
 */
export class RecordReader {
  readonly #segments: JournalSegments;
  readonly #recent: Written[] = [];
  /** So many at the front are let go already. */
  #gone = 0;
  #recentBytes = 0;
  /** By segment and number of the page; the one used last is at the end. */
  readonly #pages = new Map<number, Promise<Page>>();
  readonly #pageSizes = new Map<number, number>();
  #pagesBytes = 0;
  readonly #tables: BlockTables;
  readonly #onDamage: (block: DamagedBlock) => void;
  #largeRead: Promise<unknown> = Promise.resolve();

  constructor(segments: JournalSegments, onDamage: (block: DamagedBlock) => void) {
    this.#segments = segments;
    this.#tables = new BlockTables(segments);
    this.#onDamage = onDamage;
  }

  /** A block has become durable. */
  written(block: Written): void {
    if (this.#recent.at(-1) === block) return;
    this.#recent.push(block);
    this.#recentBytes += block.bytes;
    this.#tables.written(block);
    while (this.#recentBytes > recentBytesMax && this.#gone < this.#recent.length - 1) {
      this.#recentBytes -= this.#recent[this.#gone]?.bytes ?? 0;
      this.#recent[this.#gone++] = nothing;
    }
    // In large steps: it is a copy of the rest.
    if (this.#gone > 1024 || this.#gone * 2 > this.#recent.length) {
      this.#recent.splice(0, this.#gone);
      this.#gone = 0;
    }
  }

  async load(wanted: WantedRecords): Promise<void> {
    const { segments, positions, buffers, starts } = wanted;
    const reads: Promise<void>[] = [];
    for (let i = 0; i < segments.length;) {
      const segment = segments[i] ?? 0;
      const position = positions[i] ?? 0;
      const block = this.#findRecent(segment, position);
      if (block !== undefined) {
        buffers[i] = block.buffer;
        starts[i] = block.start + position - block.position;
        i++;
        continue;
      }
      buffers[i] = undefined;
      starts[i] = 0;
      let next = i + 1;
      while (
        segments[next] === segment &&
        this.#findRecent(segment, positions[next] ?? 0) === undefined
      ) {
        buffers[next] = undefined;
        starts[next] = 0;
        next++;
      }
      reads.push(this.#loadRun(wanted, i, next, segment));
      i = next;
    }
    if (reads.length > 0) await Promise.all(reads);
  }

  /** Records of one segment that are not in memory. */
  async #loadRun(wanted: WantedRecords, from: number, to: number, segment: number): Promise<void> {
    const { positions } = wanted;
    const blocks = await this.#tables.of(segment);
    const reads: Promise<void>[] = [];
    for (let i = from; i < to;) {
      const index = blocks.indexOf(positions[i] ?? 0);
      if (index < 0) {
        i++;
        continue;
      }
      const number = pageOf(blocks, index);
      let next = i + 1;
      while (next < to) {
        const other = blocks.indexOf(positions[next] ?? 0);
        if (other >= 0 && pageOf(blocks, other) !== number) break;
        next++;
      }
      if (next - i >= pageWorth || this.#pages.has(pageKey(segment, number))) {
        reads.push(this.#loadFromPage(wanted, i, next, blocks, number));
      } else {
        for (let one = i; one < next; one++) reads.push(this.#loadOne(wanted, one, blocks));
      }
      i = next;
    }
    await Promise.all(reads);
  }

  #findRecent(segment: number, position: number): Written | undefined {
    const recent = this.#recent;
    let low = this.#gone;
    let high = recent.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = recent[middle];
      if (block === undefined) return undefined;
      const before =
        block.segment < segment ||
        (block.segment === segment && block.position + block.bytes <= position);
      if (before) low = middle + 1;
      else high = middle;
    }
    const block = recent[low];
    return block?.segment === segment && block.position <= position ? block : undefined;
  }

  async #loadOne(wanted: WantedRecords, at: number, blocks: SegmentBlocks): Promise<void> {
    const position = wanted.positions[at] ?? 0;
    const index = blocks.indexOf(position);
    const start = blocks.starts[index];
    const blockBytes = blocks.lengths[index];
    if (start === undefined || blockBytes === undefined) return;
    if (!blocks.isChecked(index)) {
      await this.#checkFor(wanted, at, blocks, index);
      return;
    }
    const length = wanted.lengths[at] ?? 0;
    const buffer = Buffer.allocUnsafeSlow(length);
    const bytes = await this.#read(blocks.segment, buffer, position);
    // The record was whole when its block was checked, so fewer bytes are damage.
    if (bytes !== length) this.#check(blocks, index, buffer, 0, 0);
    else wanted.buffers[at] = buffer;
  }

  /** Reads the block of a record, checks it, and keeps a copy of the record. */
  async #checkFor(
    wanted: WantedRecords,
    at: number,
    blocks: SegmentBlocks,
    index: number,
  ): Promise<void> {
    const start = blocks.starts[index] ?? 0;
    const blockBytes = blocks.lengths[index] ?? 0;
    const work = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafeSlow(blockBytes);
      const bytes = await this.#read(blocks.segment, buffer, start);
      this.#check(blocks, index, buffer, 0, bytes);
      if (blocks.isDamaged(index)) return;
      const from = (wanted.positions[at] ?? 0) - start;
      const length = wanted.lengths[at] ?? 0;
      wanted.buffers[at] = Buffer.from(buffer.subarray(from, from + length));
    };
    if (blockBytes <= smallBlockBytes) {
      await work();
      return;
    }
    const run = this.#largeRead.then(work);
    this.#largeRead = run.catch(() => undefined);
    await run;
  }

  async #loadFromPage(
    wanted: WantedRecords,
    from: number,
    to: number,
    blocks: SegmentBlocks,
    number: number,
  ): Promise<void> {
    let page = await this.#page(blocks, number, false);
    for (let i = from; i < to; i++) {
      const position = wanted.positions[i] ?? 0;
      const end = position + (wanted.lengths[i] ?? 0);
      // The segment has grown since.
      if (page.end < end && blocks.indexOf(position) >= 0) {
        page = await this.#page(blocks, number, true);
      }
      if (page.end < end || blocks.indexOf(position) < 0) continue;
      wanted.buffers[i] = page.buffer;
      wanted.starts[i] = position - page.start;
    }
  }

  #page(blocks: SegmentBlocks, number: number, again: boolean): Promise<Page> {
    const key = pageKey(blocks.segment, number);
    const kept = again ? undefined : this.#pages.get(key);
    if (kept !== undefined) {
      this.#pages.delete(key);
      this.#pages.set(key, kept);
      return kept;
    }
    this.#forget(key);
    const page = this.#readPage(blocks, number, key);
    this.#pages.set(key, page);
    page.catch(() => {
      if (this.#pages.get(key) === page) this.#forget(key);
    });
    return page;
  }

  #forget(key: number): void {
    this.#pages.delete(key);
    this.#pagesBytes -= this.#pageSizes.get(key) ?? 0;
    this.#pageSizes.delete(key);
  }

  async #readPage(blocks: SegmentBlocks, number: number, key: number): Promise<Page> {
    const from = blocks.firstFrom(number * pageBytes);
    const to = blocks.firstFrom((number + 1) * pageBytes);
    const start = blocks.starts[from] ?? 0;
    const end = (blocks.starts[to - 1] ?? 0) + (blocks.lengths[to - 1] ?? 0);
    this.#pageSizes.set(key, end - start);
    this.#pagesBytes += end - start;
    for (const oldest of this.#pages.keys()) {
      if (this.#pagesBytes <= pagesBytesMax || oldest === key) break;
      this.#forget(oldest);
    }
    const buffer = Buffer.allocUnsafeSlow(end - start);
    const bytes = await this.#read(blocks.segment, buffer, start);
    for (let index = from; index < to; index++) {
      const at = (blocks.starts[index] ?? 0) - start;
      this.#check(blocks, index, buffer, at, Math.max(0, bytes - at));
    }
    return { buffer, start, end };
  }

  #check(blocks: SegmentBlocks, index: number, buffer: Buffer, at: number, bytes: number): void {
    if (!blocks.check(index, buffer, at, bytes)) return;
    this.#onDamage({ segment: blocks.segment, position: blocks.starts[index] ?? 0 });
  }

  /** Sectors that the disk cannot read are left as zeros: their blocks are damaged. */
  async #read(segment: number, buffer: Buffer, position: number): Promise<number> {
    try {
      return await this.#segments.read(segment, buffer, 0, buffer.length, position);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
    for (let at = 0; at < buffer.length; at += sectorBytes) {
      const bytes = Math.min(sectorBytes, buffer.length - at);
      buffer.fill(0, at, at + bytes);
      try {
        await this.#segments.read(segment, buffer, at, bytes, position + at);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
      }
    }
    return buffer.length;
  }
}

const sectorBytes = 4096;

function isUnreadable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO';
}

function pageOf(blocks: SegmentBlocks, index: number): number {
  return Math.floor((blocks.starts[index] ?? 0) / pageBytes);
}

function pageKey(segment: number, number: number): number {
  return segment * 65_536 + number;
}
