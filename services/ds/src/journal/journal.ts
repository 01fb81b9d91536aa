import type { JournalFailure } from './failure.ts';
import type { Participant, RecordHandler, SegmentIndex } from './participant.ts';

/**
 * The one log of all embedded stores, with group commit.
 *
 * - Records that are added in one synchronous run are in one block: after a crash all of them are
 *   there or none. Blocks keep the order in which records were added.
 * - A commit's callback comes when all that was added before it is durable, or has failed; the
 *   callbacks come in the order of the calls to `commit`, never during the call.
 * - What nobody commits is written with the next commit, or after `lazyMs`.
 * - While the disk refuses, `refusal` says so, and everything fails at once. The journal tries
 *   again by itself.
 *
 * Use: construct, `register` all types and participants, `open` once, then the rest.
 */
export interface Journal {
  /** One handler for each type, 1 to 255, before `open`. The types are listed in records.ts. */
  register(type: number, handler: RecordHandler): void;
  participate(participant: Participant): void;
  index(index: SegmentIndex): void;

  /** Locks the folder, loads the checkpoint, replays the rest. Throws JournalRefusal. */
  open(): Promise<void>;
  /** Writes what is pending, takes a checkpoint, unlocks. */
  close(): Promise<void>;

  /**
   * Room for a record of so many bytes: its body is `buffer[offset … offset + bodyBytes)` and must
   * be filled in the same turn, before the next call. Read `buffer` after the call, it changes;
   * but a buffer once seen keeps its bytes for as long as anybody holds it. Never fails.
   */
  reserve(type: number, bodyBytes: number): number;
  readonly buffer: Buffer;
  /** Start in `buffer` of the block that `reserve` adds to, for {@link Written}. */
  readonly blockStart: number;
  /** The same by copying, for what is not hot. */
  add(type: number, body: Buffer): void;

  /** While the disk refuses, a commit fails even if nothing was added for it. */
  commit(callback: CommitCallback): void;
  /** As a promise; rejects with JournalFailure. */
  durable(): Promise<void>;

  /** 0, or the reason code with which appends are to be refused: no room, or too much waits. */
  readonly refusal: number;

  /** Greater than any given before in what is durable, also in earlier runs. For order keys. */
  nextOrder(): number;
  /**
   * How long the broker has been running, over all its runs, without the time between them. At
   * least 1: a stored time of 0 means that there is none.
   */
  brokerTimeMs(): number;

  /** Takes a checkpoint now (or joins the one that runs). */
  checkpoint(): Promise<void>;
}

/** A segment that takes no more blocks. */
export interface SealedSegment {
  readonly number: number;
  /** Bytes; what is behind is void. */
  readonly end: number;
  /** Broker time; no record in it is later. */
  readonly lastMs: number;
  /** The segment's index is on disk (or there is nothing to index). */
  indexed: boolean;
}

/** Start and length of each block, in bytes from the start of the segment. */
export interface BlockList {
  readonly salt: number;
  readonly starts: number[] | Uint32Array;
  readonly lengths: number[] | Uint32Array;
}

/** The files under the journal, for the store that indexes them and decides how long they stay. */
export interface JournalSegments {
  /** Segments that take no more blocks, the oldest first. */
  readonly segments: readonly SealedSegment[];
  /** Number of the one that is being written. */
  readonly openSegment: number;
  /** Segments below hold no record that a start would need for the stores' state. */
  readonly coveredBelow: number;
  /** One listener: `coveredBelow` may have grown. */
  onCovered(listener: () => void): void;
  /** Like `OpenFile.read`; throws where the segment is gone. */
  read(
    segment: number,
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
  ): Promise<number>;
  /**
   * Places of the blocks in a sealed segment, by their headers: checksums are not verified, but
   * bytes that cannot be a block are left out.
   */
  blocks(segment: number): Promise<BlockList>;
  /** Salt of the sums of a segment's blocks. */
  saltOf(segment: number): Promise<number>;
  /** Removes a sealed segment; does nothing where it may not go yet. */
  remove(segment: number): Promise<void>;
}

export type CommitCallback = (failure: JournalFailure | undefined, block: Written) => void;

/** Place of a written block; of no meaning after a failure. */
export interface Written {
  readonly segment: number;
  /** The block is still in memory: `buffer[start … start + bytes)`. */
  readonly buffer: Buffer;
  readonly start: number;
  readonly bytes: number;
  /**
   * In the segment, in bytes, of what was at `blockStart` in the buffer: a record body that was
   * reserved at `offset` is at `position + offset - blockStart` (both read at that time).
   */
  readonly position: number;
}

export interface JournalOptions {
  /** DATA_DIR: holds `log/`, `state/` and `lock`. Made when absent. */
  readonly directory: string;
  readonly segmentBytes?: number;
  readonly checkpointIntervalS?: number;
  /** Bytes of log after which a checkpoint is taken before its time. */
  readonly checkpointBytes?: number;
  /** Longest wait of a commit for others; shortened to nothing under load. */
  readonly commitLingerUs?: number;
  /** A block that has reached this is closed at the end of the turn. */
  readonly commitBytesMax?: number;
  /** Past twice this, appends are refused (`refusal`). */
  readonly pendingAppendBytesMax?: number;
  /** How long records wait that nobody commits. */
  readonly lazyMs?: number;
  readonly onEvent?: (event: JournalEvent) => void;
}

/** For the log and the metrics. */
export type JournalEvent =
  | {
      readonly kind: 'opened';
      readonly segments: number;
      readonly replayed: number;
      /** Wall time since the last block was written: below 0, the clock was set back meanwhile. */
      readonly sinceLastBlockS: number;
    }
  /** The process died while it was opening the state; it has been opened on trial since. */
  | { readonly kind: 'opened again' }
  /** Bytes of a block that a crash had left incomplete were cut off. */
  | { readonly kind: 'repaired'; readonly segment: number; readonly position: number }
  | {
      readonly kind: 'written';
      readonly records: number;
      readonly bytes: number;
      readonly us: number;
    }
  | { readonly kind: 'failed'; readonly failure: JournalFailure }
  | { readonly kind: 'recovered' }
  | { readonly kind: 'sealed'; readonly segment: number; readonly bytes: number }
  | { readonly kind: 'checkpoint'; readonly entries: number; readonly ms: number }
  | { readonly kind: 'checkpoint failed'; readonly failure: JournalFailure };
