// Partitions of a shared group's queue as the owner of the group reads them. Messages of several
// partitions go out in the order in which they were stored: a message waits until it is known what
// the other partitions have. A partition that is away holds nobody up.
import type { Message } from '@lmqtt/common/message';
import { isBefore } from '@lmqtt/common/stored-order';

/** A message that was read, and goes to whoever takes it. */
export interface Waiting {
  readonly partition: number;
  readonly offset: number;
  readonly message: Message;
}

/** How far one partition was given out. */
export interface Reader {
  readonly partition: number;
  /** The lowest offset that was not looked at. */
  next: number;
  /** Something is stored at or past `next`. */
  behind: boolean;
  /** Something arrived while it was being read. */
  again: boolean;
  /** A read has failed: it is not read until then. */
  rests: NodeJS.Timeout | undefined;
  restMs: number;
  /** Messages that were read, below `next`, in order. */
  held: Waiting[];
}

/** For so long the first messages of topics are compared after a placement that is new. */
const freshMs = 30_000;
/** Topics whose placement is known. */
const topicsMax = 10_000;

export class GroupReaders {
  readonly #all: Reader[] = [];
  readonly #positionOf: (partition: number) => number;
  readonly #placements = new Map<string, number>();
  #highest = -1;
  /** Topics of which nothing is known have not moved unless their placement is higher. */
  #settled: number | undefined;

  /** `positionOf`: where a partition is read from. */
  constructor(positionOf: (partition: number) => number) {
    this.#positionOf = positionOf;
  }

  get all(): readonly Reader[] {
    return this.#all;
  }

  of(partition: number): Reader {
    for (const reader of this.#all) if (reader.partition === partition) return reader;
    const reader: Reader = {
      ...{ partition, next: this.#positionOf(partition), behind: false, again: false },
      ...{ rests: undefined, restMs: 0, held: [] },
    };
    this.#all.push(reader);
    return reader;
  }

  /** The readers that must be read before anything more can go out. */
  get due(): Reader[] {
    return this.#all.filter((one) => isUnknown(one));
  }

  get holdsSome(): boolean {
    return this.#all.some(({ held }) => held.length > 0);
  }

  /** Takes what goes out next; undefined: a partition is to be read first, or there is nothing. */
  take(): Waiting | undefined {
    let first: Reader | undefined;
    for (const reader of this.#all) {
      if (isUnknown(reader)) return undefined;
      const [head] = reader.held;
      if (head === undefined) continue;
      if (first === undefined || isBefore(head.message, first.held[0]!.message)) first = reader;
    }
    return first?.held.shift();
  }

  /**
   * Whether the message is the first of a topic that has come from another partition: what is there
   * may not have been pushed yet. Then all of them are to be read first.
   */
  hasMoved(message: Message): boolean {
    const { topic, orderKey } = message;
    if (this.#all.length === 1 || orderKey === undefined) return false;
    const { placement } = orderKey;
    this.#settled ??= placement;
    if (placement > this.#highest) {
      this.#highest = placement;
      setTimeout(() => {
        this.#settled = Math.max(this.#settled!, placement);
      }, freshMs).unref();
    }
    const known = this.#placements.get(topic) ?? this.#settled;
    if (placement === known) return false;
    this.#note(message);
    if (placement < known) return false;
    this.#compare();
    return true;
  }

  /** Puts back what was taken last. */
  putBack(waiting: Waiting): void {
    this.of(waiting.partition).held.unshift(waiting);
  }

  /** The messages that are held are compared as well. */
  #compare(): void {
    for (const reader of this.#all) {
      // One that was away may be back.
      clearTimeout(reader.rests);
      reader.rests = undefined;
      reader.behind = true;
      reader.again = true;
      for (const { message } of reader.held) this.#note(message);
    }
  }

  /** The highest placement of its topic. */
  #note({ topic, orderKey }: Message): void {
    const placement = orderKey?.placement ?? -1;
    if (placement <= (this.#placements.get(topic) ?? -1)) return;
    if (this.#placements.size >= topicsMax) this.#placements.clear();
    this.#placements.set(topic, placement);
  }
}

function isUnknown({ behind, rests, held }: Reader): boolean {
  return behind && rests === undefined && held.length === 0;
}
