import type { QueueId } from './ids.ts';
import type { Message } from './message.ts';

/**
 * The position of the first message stored at that time or later, in a partition that cannot be
 * asked where its queue ends: minus the time, in ms since 1970. Offsets are 0 or more. The queue
 * store takes it to read from, and the offset that it stands for is known when a read has answered.
 */
export function positionSince(timeMs: number): number {
  return -Math.max(1, Math.floor(timeMs));
}

/**
 * End of a partition of which nothing will ever be read, past all offsets that were given there:
 * readers that come to it have nothing more to ask for.
 */
export const pastAllOffsets: number = 2 ** 40;

export function isTime(position: number): boolean {
  return position < 0;
}

/** The time that such a position stands for, ms since 1970. */
export function timeOf(position: number): number {
  return -position;
}

/**
 * How far something has come in one partition of a queue: the set of offsets that are done with,
 * kept as "all below the position" and an ascending list of those at or past it. The set only
 * grows, so the same change applied twice, or an older one applied again, changes nothing. Start
 * and position may be a time; the first position that is an offset is the start, too.
 */
export class Cursor {
  readonly partition: number;
  start: number;
  position: number;
  done: number[];

  constructor(partition: number, start: number, position: number, done: number[]) {
    this.partition = partition;
    this.start = start;
    this.position = position;
    this.done = done;
  }

  static at(partition: number, start: number): Cursor {
    return new Cursor(partition, start, start, []);
  }

  static from(stored: Readonly<Pick<Cursor, 'partition' | 'start' | 'position' | 'done'>>): Cursor {
    return new Cursor(stored.partition, stored.start, stored.position, [...stored.done]);
  }

  copy(): Cursor {
    return Cursor.from(this);
  }

  /** Everything below is done with. */
  moveTo(position: number): void {
    if (position <= this.position) return;
    if (isTime(this.start)) this.start = position;
    this.position = position;
    this.#absorb();
  }

  markDone(offset: number): void {
    if (offset < this.position) return;
    if (offset === this.position) {
      this.position = offset + 1;
      this.#absorb();
      return;
    }
    const done = this.done;
    let at = done.length;
    // Acknowledgements come nearly in order, so the place is mostly at the end.
    if (at > 0 && done[at - 1]! >= offset) at = placeOf(done, offset);
    if (done[at] === offset) return;
    if (at === done.length) done.push(offset);
    else done.splice(at, 0, offset);
  }

  isDone(offset: number): boolean {
    if (offset < this.position) return true;
    const done = this.done;
    return done[placeOf(done, offset)] === offset;
  }

  /** Done entries that the position has passed or reached are part of it. */
  #absorb(): void {
    const done = this.done;
    let count = 0;
    while (count < done.length && done[count]! <= this.position) {
      if (done[count] === this.position) this.position += 1;
      count += 1;
    }
    if (count > 0) done.splice(0, count);
  }
}

/** Index of the first entry that is not below the offset. */
function placeOf(done: readonly number[], offset: number): number {
  let low = 0;
  let high = done.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (done[middle]! < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The offset that a position by time stands for: that of the first message read, or the next. */
export function offsetFound(
  answer: { readonly messages: readonly Message[]; readonly next: number },
  queue: QueueId,
  partition: number,
): number {
  const entry = answer.messages[0]?.entries.find(
    (one) => one.queue === queue && one.partition === partition,
  );
  return entry?.offset ?? answer.next;
}

/**
 * Cursor in a partition. One without a cursor appeared later: it is owed from its beginning, or
 * from `start`. Those that were there and could not be reached have a cursor with a time.
 */
export function cursorOf(cursors: Cursor[], partition: number, start: number = 0): Cursor {
  for (const cursor of cursors) if (cursor.partition === partition) return cursor;
  const added = Cursor.at(partition, start);
  cursors.push(added);
  return added;
}
