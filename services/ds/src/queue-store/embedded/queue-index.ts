import type { SegmentIndex } from '../../journal/participant.ts';

/**
 * Places in the log of each queue's messages. For each queue and segment there is one run (another
 * after a hole in the offsets): the first offset, and for each message position and length, in an
 * array that is shared by all runs of a segment once that is sealed. That is 8 bytes an entry, and
 * its file is used as it is read.
 *
 *     index file   f64 runs, then for each: f64 queue  f64 first offset  f64 count
 *                  f64 number of its first entry; then all entries: u32 position  u32 length
 */
export interface Run {
  readonly segment: number;
  readonly first: number;
  count: number;
  /** Position and length in turn, from `start` on. */
  entries: number[] | Uint32Array;
  start: number;
}

export class QueuePlaces {
  readonly queue: number;
  readonly runs: Run[] = [];
  /** The next offset to be given. */
  next = 0;
  /** Past the last offset that is durable; never more than `next`. */
  stored = 0;
  /** The last offset that was given to a message, −1: none. */
  last = -1;
  trimmed = 0;

  constructor(queue: number) {
    this.queue = queue;
  }

  /** The lowest offset that can be read; `stored`: none. */
  get first(): number {
    const run = this.runs[0];
    return run === undefined ? this.stored : Math.max(run.first, this.trimmed);
  }

  /** Offsets of the queue in a segment. */
  offsetsIn(segment: number): number[] {
    const offsets: number[] = [];
    for (const run of this.runs) {
      if (run.segment !== segment) continue;
      for (let i = 0; i < run.count; i++) offsets.push(run.first + i);
    }
    return offsets;
  }

  /** Index of the first run that ends past the offset. */
  find(offset: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const run = this.runs[middle];
      if (run !== undefined && run.first + run.count > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

interface OwnedRun {
  readonly places: QueuePlaces;
  readonly run: Run;
}

const rowFields = 4;

export class QueueIndex implements SegmentIndex {
  readonly queues: Map<number, QueuePlaces> = new Map();
  /** Dropped queues, with the number of the last segment that can hold messages of theirs. */
  readonly dropped: Map<number, number> = new Map();
  /** Runs of segments that are not sealed yet. */
  readonly #open = new Map<number, OwnedRun[]>();
  /** Runs with untrimmed messages in each sealed segment. */
  readonly #live = new Map<number, number>();

  get depth(): number {
    let depth = 0;
    for (const places of this.queues.values()) depth += places.stored - places.first;
    return depth;
  }

  /** Made where it is not there. */
  places(queue: number): QueuePlaces {
    let places = this.queues.get(queue);
    if (places === undefined) {
      places = new QueuePlaces(queue);
      this.queues.set(queue, places);
    }
    return places;
  }

  push(
    places: QueuePlaces,
    segment: number,
    offset: number,
    position: number,
    bytes: number,
  ): void {
    let run = places.runs.at(-1);
    if (run === undefined || run.segment !== segment || run.first + run.count !== offset) {
      run = { segment, first: offset, count: 0, entries: [], start: 0 };
      places.runs.push(run);
      let open = this.#open.get(segment);
      if (open === undefined) {
        open = [];
        this.#open.set(segment, open);
      }
      open.push({ places, run });
    }
    (run.entries as number[]).push(position, bytes);
    run.count++;
    this.given(places, offset);
  }

  /** The offset was given to a message, which is durable. */
  given(places: QueuePlaces, offset: number): void {
    if (offset >= places.stored) places.stored = offset + 1;
    if (places.next < places.stored) places.next = places.stored;
    if (offset > places.last) places.last = offset;
  }

  /** True: a sealed segment may have become free. */
  trim(places: QueuePlaces, offset: number): boolean {
    if (offset <= places.trimmed) return false;
    places.trimmed = offset;
    let freed = false;
    for (;;) {
      const run = places.runs[0];
      if (run === undefined || run.first + run.count > offset) return freed;
      if (this.#open.has(run.segment)) return freed;
      places.runs.shift();
      freed = this.#release(run.segment) || freed;
    }
  }

  drop(queue: number, segment: number): void {
    const places = this.queues.get(queue);
    if (places !== undefined) this.trim(places, Infinity);
    if (places !== undefined) places.runs.length = 0;
    this.queues.delete(queue);
    this.dropped.set(queue, segment);
  }

  /**
   * Makes the offset a hole, because its message cannot be read. False: the offset was a hole
   * before.
   */
  damage(places: QueuePlaces, offset: number): boolean {
    const run = places.runs[places.find(offset)];
    if (run === undefined || run.first > offset) return false;
    const at = run.start + (offset - run.first) * 2 + 1;
    if (run.entries[at] === 0) return false;
    run.entries[at] = 0;
    return true;
  }

  isFree(segment: number): boolean {
    return !this.#open.has(segment) && (this.#live.get(segment) ?? 0) === 0;
  }

  forget(segment: number): void {
    this.#live.delete(segment);
  }

  /** Takes all that a sealed segment holds out of the index: queue and untrimmed messages. */
  lose(segment: number): { places: QueuePlaces; messages: number }[] {
    const lost: { places: QueuePlaces; messages: number }[] = [];
    for (const places of this.queues.values()) {
      let messages = 0;
      while (places.runs[0]?.segment === segment) {
        const { first, count } = places.runs[0];
        messages += first + count - Math.max(first, places.trimmed);
        places.runs.shift();
      }
      if (messages > 0) lost.push({ places, messages });
    }
    this.#live.delete(segment);
    return lost;
  }

  seal(segment: number): Buffer {
    const open = (this.#open.get(segment) ?? []).filter(({ places, run }) => {
      const needed = run.first + run.count > places.trimmed && !this.dropped.has(places.queue);
      if (!needed) remove(places.runs, run);
      return needed;
    });
    this.#open.delete(segment);
    const total = open.reduce((sum, { run }) => sum + run.count, 0);
    const headBytes = 8 * (1 + open.length * rowFields);
    const content = new ArrayBuffer(headBytes + total * 8);
    const head = new Float64Array(content, 0, 1 + open.length * rowFields);
    const entries = new Uint32Array(content, headBytes);
    head[0] = open.length;
    let number = 0;
    for (const [i, { places, run }] of open.entries()) {
      head.set([places.queue, run.first, run.count, number], 1 + i * rowFields);
      entries.set(run.entries, number * 2);
      run.entries = entries;
      run.start = number * 2;
      number += run.count;
    }
    if (open.length > 0) this.#live.set(segment, open.length);
    return Buffer.from(content);
  }

  load(segment: number, index: Buffer): boolean {
    const aligned = index.byteOffset % 8 === 0 ? index : Buffer.from(new Uint8Array(index).buffer);
    const { buffer, byteOffset } = aligned;
    const runs = aligned.length < 8 ? -1 : aligned.readDoubleLE(0);
    const headBytes = 8 * (1 + runs * rowFields);
    if (runs < 0 || aligned.length < headBytes) return false;
    const head = new Float64Array(buffer, byteOffset, 1 + runs * rowFields);
    const bytes = aligned.length - headBytes;
    const entries = new Uint32Array(buffer, byteOffset + headBytes, bytes >> 2);
    let live = 0;
    for (let at = 1; at < head.length; at += rowFields) {
      const queue = head[at] ?? 0;
      const first = head[at + 1] ?? 0;
      const count = head[at + 2] ?? 0;
      const end = first + count;
      if (this.dropped.has(queue)) continue;
      const places = this.places(queue);
      if (places.stored < end) places.stored = end;
      if (places.next < end) places.next = end;
      if (places.last < end - 1) places.last = end - 1;
      if (end <= places.trimmed) continue;
      places.runs.push({ segment, first, count, entries, start: (head[at + 3] ?? 0) * 2 });
      live++;
    }
    if (live > 0) this.#live.set(segment, live);
    return true;
  }

  #release(segment: number): boolean {
    const live = (this.#live.get(segment) ?? 0) - 1;
    if (live > 0) this.#live.set(segment, live);
    else this.#live.delete(segment);
    return live <= 0;
  }
}

function remove(runs: Run[], run: Run): void {
  const at = runs.indexOf(run);
  if (at >= 0) runs.splice(at, 1);
}
