/**
 * The interface that a store gives to the journal. The state of a store lives in memory; it is made
 * durable twice: at once by records in the log, and from time to time by a checkpoint, which writes
 * the entries that changed into `state/` so that the log before it is no longer needed.
 *
 * The checkpoint is fuzzy. It notes a position P of the log: the end of the last block whose
 * commit callbacks have run. Then it takes the changed entries in portions while the broker goes
 * on; so an entry may already hold the effect of records after P. Each portion is written when
 * all records that were added before it was taken are durable, and P is written last. At start
 * the entries are loaded and every record from P on is replayed over them. This gives the state
 * before the stop, wherever it came:
 * - Replay sees, in order and up to the last, every record after P, and the entries hold no
 *   effect of a record that replay does not see or that is before P.
 * - Records are *absolute*: each sets or removes something by its name and does not count on what
 *   was there. So what the last record after P about a thing says holds, whatever the entry said;
 *   where no record after P speaks of it, the entry was taken after its last change.
 * - A stop between two portions leaves new entries with the old P: the same argument holds.
 *
 * Rules for a store: records are absolute (position = 7, never position += 1). A record
 * about something that is not there is ignored, unless it is the one that makes it: its removal
 * may already be in the entries. The change in memory is made, and its entry marked changed, when
 * the record is added or at the latest in its commit callback.
 *
 * After a failure (disk full) the records of the failed blocks are gone, though their effects are
 * in memory. The journal goes on only when a checkpoint of all that changed, taken in one turn
 * and written in one transaction, has been flushed: then memory and disk agree again.
 */

/** Place of a record. */
export interface Place {
  readonly segment: number;
  /** Start of the record's body, in bytes from the start of the segment. */
  readonly position: number;
  /** The checkpoint holds what the record changed in the stores' state: only `all` sees it. */
  readonly covered: boolean;
  /** The index of this segment was loaded: the record is not to be indexed again. */
  readonly indexed: boolean;
}

export interface RecordHandler {
  /** In the order of the log. Both are valid only during the call. */
  replay(body: Buffer, place: Place): void;
  /** Also replay records before the checkpoint, in segments that have no index yet. */
  readonly all?: boolean;
}

/** Name of an entry: a number, or at most 1,900 bytes of UTF-8 without U+0000. */
export type EntryKey = string | number;

/**
 * The bytes of an entry, or pieces of them that are made one after another over some turns; together
 * they say how the entry was when it was asked for.
 */
export type EntryBytes = Buffer | { readonly pieces: Iterable<Buffer> };

/** A store whose state is part of the checkpoints. */
export interface Participant {
  /** Names its table in `state/`; never changes. */
  readonly name: string;
  /** Once for each entry, before any replay. The value may be kept. */
  load(key: EntryKey, value: Buffer): void;
  /** The entries that changed since the last call (or the start); they count as clean now. */
  takeChanged(): Iterable<EntryKey>;
  /** The entry as it is now; undefined: removed. Called soon after takeChanged, in later turns. */
  entry(key: EntryKey): EntryBytes | undefined;
  /** The checkpoint failed: these count as changed again. */
  putBack(keys: Iterable<EntryKey>): void;
}

/** The index of the log's segments. Only one store can have it. */
export interface SegmentIndex {
  /**
   * Takes the index that `seal` gave for this segment in an earlier run. False: not readable,
   * replay instead.
   */
  load(segment: number, index: Buffer): boolean;
  /** The segment takes no more records: gives the index to be kept beside it. */
  seal(segment: number): Buffer;
}
