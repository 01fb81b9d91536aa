import { systemClock } from '@lmqtt/common/clock';
import { sealBlock } from './block.ts';
import type { Files } from './files.ts';
import type { JournalEvent, Written } from './journal.ts';
import type { Gathered } from './pending.ts';
import type { Recovery } from './recovery.ts';
import type { SealedSegments } from './sealed-segments.ts';
import { OpenSegment } from './segment.ts';
import type { CheckpointMark } from './state.ts';

type WriteCallback = (error: unknown, ms: number) => void;

/**
 * The end of the log, where blocks are written, and the counters that go on in them from run to
 * run: sequence, order keys, the broker's running time. Hides that a block which does not fit waits
 * for the next segment.
 */
export class LogEnd {
  readonly #files: Files;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #sealed: SealedSegments;
  readonly #onEvent: (event: JournalEvent) => void;
  #segment: OpenSegment | undefined;
  #nextNumber = 1;
  #sequence = 0;
  /** Sequence of the block after the last durable one. */
  #durableSequence = 0;
  #order = 0;
  #brokerTimeBase = 0;
  #brokerTimeSince = 0;

  constructor(
    files: Files,
    directory: string,
    segmentBytes: number,
    sealed: SealedSegments,
    onEvent: (event: JournalEvent) => void,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#sealed = sealed;
    this.#onEvent = onEvent;
  }

  get openSegment(): number {
    return this.#segment?.number ?? this.#nextNumber;
  }

  nextOrder(): number {
    return ++this.#order;
  }

  brokerTimeMs(): number {
    return Math.floor(this.#brokerTimeBase + systemClock.monotonicMs() - this.#brokerTimeSince);
  }

  async begin(recovery: Recovery): Promise<void> {
    this.#nextNumber = recovery.nextNumber;
    this.#sequence = recovery.nextSequence;
    this.#durableSequence = this.#sequence;
    this.#order = recovery.order;
    this.#brokerTimeBase = Math.max(1, recovery.brokerTimeMs);
    this.#brokerTimeSince = systemClock.monotonicMs();
    this.#segment = await this.#create(recovery.segments.at(-1));
  }

  /** One at a time. After an error nothing more is written until `moveTo`. */
  write(gathered: Gathered, done: WriteCallback): void {
    const { buffer, start, bytes, records } = gathered;
    const segment = this.#segment;
    if (segment === undefined) return;
    if (segment.end + bytes > this.#segmentBytes && !segment.empty) {
      void this.#writeBehind(segment, gathered, done);
      return;
    }
    sealBlock(buffer, start, segment.salt, {
      bytes,
      records,
      sequence: this.#sequence++,
      wallTimeMs: systemClock.nowMs(),
      brokerTimeMs: this.brokerTimeMs(),
      order: this.#order,
    });
    const began = systemClock.monotonicMs();
    segment.write(buffer, start, bytes, (error) => {
      if (error === null) this.#durableSequence = this.#sequence;
      done(error, systemClock.monotonicMs() - began);
    });
  }

  /** Place of the block that was written last. */
  written({ buffer, start, bytes }: Gathered): Written {
    const segment = this.#segment;
    return {
      segment: segment?.number ?? 0,
      position: (segment?.end ?? bytes) - bytes,
      buffer,
      start,
      bytes,
    };
  }

  /** The end of the last durable block; undefined: there is no log yet, or no more. */
  mark(): CheckpointMark | undefined {
    return this.#segment === undefined ? undefined : this.#markAt(this.#segment);
  }

  /** A segment to go on in when nobody knows what a failed write has left in this one. */
  async successor(): Promise<OpenSegment> {
    const broken = this.#segment;
    return this.#create(broken && { number: broken.number, end: broken.end });
  }

  /** The block that was being written, and all behind it, are void: the successor says so. */
  markIn(successor: OpenSegment): CheckpointMark {
    this.#durableSequence = this.#sequence;
    return this.#markAt(successor);
  }

  moveTo(successor: OpenSegment): void {
    const left = this.#segment;
    this.#segment = successor;
    if (left !== undefined) this.#seal(left);
  }

  /** Seals the segment: it takes no more blocks. */
  seal(): void {
    if (this.#segment !== undefined) this.#seal(this.#segment);
  }

  /** Leaves the segment as a crash would. */
  async abandon(): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    await segment?.abandon();
  }

  async #writeBehind(full: OpenSegment, gathered: Gathered, done: WriteCallback): Promise<void> {
    try {
      this.moveTo(await this.#create({ number: full.number, end: full.end }));
    } catch (error) {
      done(error, 0);
      return;
    }
    this.write(gathered, done);
  }

  #create(
    previous: { readonly number: number; readonly end: number } | undefined,
  ): Promise<OpenSegment> {
    return OpenSegment.create(
      this.#files,
      this.#directory,
      this.#nextNumber++,
      this.#sequence,
      previous,
      this.#segmentBytes,
    );
  }

  #seal(segment: OpenSegment): void {
    this.#sealed.seal(segment, this.brokerTimeMs());
    this.#onEvent({ kind: 'sealed', segment: segment.number, bytes: segment.end });
  }

  #markAt(segment: OpenSegment): CheckpointMark {
    return {
      segment: segment.number,
      position: segment.end,
      sequence: this.#durableSequence,
      order: this.#order,
      brokerTimeMs: this.brokerTimeMs(),
    };
  }
}
