import type { JournalSegments, Written } from '../journal/journal.ts';

const pageBytes = 256 << 10;
/** A record that begins in a page and ends at most so far behind it is read with the page. */
const slackBytes = 16 << 10;
const pagesMax = 64;
const recentBytesMax = 16 << 20;
/** With so many wanted records a page is read whole, with fewer each by itself. */
const pageWorth = 4;

const nothing: Written = {
  segment: -1,
  position: 0,
  buffer: Buffer.alloc(0),
  start: 0,
  bytes: 0,
};

interface Page {
  readonly buffer: Buffer;
  readonly start: number;
  /** What is at or past this position was not there yet when the page was read. */
  readonly end: number;
}

/** Where records are; after `load` their bytes are at `buffers[i]`, from `starts[i]` on. */
export interface WantedRecords {
  readonly segments: number[];
  readonly positions: number[];
  readonly lengths: number[];
  readonly buffers: Buffer[];
  readonly starts: number[];
}

/**
 * Brings records from the log into memory. The blocks written last are still there. Of the rest,
 * pages are read and kept for the queues whose messages lie side by side and are read together.
 * Buffers are never used twice, messages point into them.
 */
export class RecordReader {
  readonly #segments: JournalSegments;
  readonly #recent: Written[] = [];
  /** So many at the front are let go already. */
  #gone = 0;
  #recentBytes = 0;
  /** By segment and number of the page; the one used last is at the end. */
  readonly #pages = new Map<number, Promise<Page>>();
  #openSegment = 0;
  #openEnd = 0;

  constructor(segments: JournalSegments) {
    this.#segments = segments;
  }

  /** A block has become durable. */
  written(block: Written): void {
    if (this.#recent.at(-1) === block) return;
    this.#recent.push(block);
    this.#recentBytes += block.bytes;
    this.#openSegment = block.segment;
    this.#openEnd = block.position + block.bytes;
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
    const { segments, positions, lengths, buffers, starts } = wanted;
    const reads: Promise<void>[] = [];
    for (let i = 0; i < segments.length;) {
      const segment = segments[i] ?? 0;
      const position = positions[i] ?? 0;
      const length = lengths[i] ?? 0;
      const block = this.#findRecent(segment, position);
      if (block !== undefined) {
        buffers[i] = block.buffer;
        starts[i] = block.start + position - block.position;
        i++;
        continue;
      }
      const number = Math.floor(position / pageBytes);
      const limit = (number + 1) * pageBytes;
      let next = i;
      while (
        segments[next] === segment &&
        (positions[next] ?? 0) < limit &&
        (positions[next] ?? 0) + (lengths[next] ?? 0) <= limit + slackBytes
      ) {
        next++;
      }
      if (next === i || (next - i < pageWorth && !this.#pages.has(pageKey(segment, number)))) {
        reads.push(this.#loadOne(wanted, i, segment, position, length));
        i++;
        continue;
      }
      reads.push(this.#loadFromPage(wanted, i, next, segment, number));
      i = next;
    }
    if (reads.length > 0) await Promise.all(reads);
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

  async #loadOne(
    wanted: WantedRecords,
    at: number,
    segment: number,
    position: number,
    length: number,
  ): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(length);
    const bytes = await this.#segments.read(segment, buffer, 0, length, position);
    if (bytes !== length) throw new Error(`segment ${segment} ends before ${position + length}`);
    wanted.buffers[at] = buffer;
    wanted.starts[at] = 0;
  }

  async #loadFromPage(
    wanted: WantedRecords,
    from: number,
    to: number,
    segment: number,
    number: number,
  ): Promise<void> {
    const lastEnd = (wanted.positions[to - 1] ?? 0) + (wanted.lengths[to - 1] ?? 0);
    let page = await this.#page(segment, number, false);
    if (page.end < lastEnd) page = await this.#page(segment, number, true);
    if (page.end < lastEnd) throw new Error(`segment ${segment} ends before ${lastEnd}`);
    for (let i = from; i < to; i++) {
      wanted.buffers[i] = page.buffer;
      wanted.starts[i] = (wanted.positions[i] ?? 0) - page.start;
    }
  }

  #page(segment: number, number: number, again: boolean): Promise<Page> {
    const key = pageKey(segment, number);
    const kept = again ? undefined : this.#pages.get(key);
    this.#pages.delete(key);
    const page = kept ?? this.#readPage(segment, number);
    this.#pages.set(key, page);
    page.catch(() => {
      if (this.#pages.get(key) === page) this.#pages.delete(key);
    });
    const oldest = this.#pages.size > pagesMax ? this.#pages.keys().next().value : undefined;
    if (oldest !== undefined) this.#pages.delete(oldest);
    return page;
  }

  async #readPage(segment: number, number: number): Promise<Page> {
    const start = number * pageBytes;
    const end = segment === this.#openSegment ? this.#openEnd : Infinity;
    const buffer = Buffer.allocUnsafeSlow(pageBytes + slackBytes);
    const bytes = await this.#segments.read(segment, buffer, 0, buffer.length, start);
    return { buffer, start, end: Math.min(end, start + bytes) };
  }
}

function pageKey(segment: number, number: number): number {
  return segment * 65_536 + number;
}
