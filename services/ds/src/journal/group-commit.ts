import { systemClock } from '@lmqtt/common/clock';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { failureOf, type JournalFailure } from './failure.ts';
import type { CommitCallback, Written } from './journal.ts';
import type { LogEnd } from './log-end.ts';
import { PendingRecords, type Gathered } from './pending.ts';

/** A block with so many is worth a sync of its own. */
const enoughRecords = 64;

interface GroupCommitLimits {
  readonly lingerMs: number;
  readonly blockBytesMax: number;
  readonly pendingBytesMax: number;
  readonly lazyMs: number;
}

interface GroupCommitEvents {
  /** After the callbacks of the block. */
  readonly onWritten: (records: number, bytes: number, ms: number) => void;
  /** Everything is refused from now on; who waits has not been told yet: see `failAll`. */
  readonly onFailed: (failure: JournalFailure) => void;
}

/**
 * Which records make a block, when it is written, and who is told of it. One block is written at a
 * time; what comes meanwhile gathers in the next, which is written at once when that is done, if
 * anybody waits for it. The first commit of an idle log is written at the end of the turn, so that
 * all sockets read in it share it, or some turns later, as long as each brings more.
 */
export class GroupCommit {
  readonly #log: LogEnd;
  readonly #limits: GroupCommitLimits;
  readonly #events: GroupCommitEvents;
  readonly #pending = new PendingRecords();
  /** Blocks that take no more records and wait to be written. */
  readonly #closed: Gathered[] = [];
  #closedBytes = 0;
  #writing: Gathered | undefined;
  #held = true;
  #failure: JournalFailure | undefined;
  readonly #turnEnd: OnceATurn = new OnceATurn(() => this.#turnEnded());
  #gatheringSince = 0;
  #gathered = 0;
  #lazyTimer: NodeJS.Timeout | undefined;
  #lazyDue = false;

  constructor(log: LogEnd, limits: GroupCommitLimits, events: GroupCommitEvents) {
    this.#log = log;
    this.#limits = limits;
    this.#events = events;
  }

  get buffer(): Buffer {
    return this.#pending.buffer;
  }

  get blockStart(): number {
    return this.#pending.blockStart;
  }

  get failure(): JournalFailure | undefined {
    return this.#failure;
  }

  get refusal(): number {
    if (this.#failure !== undefined) return this.#failure.reasonCode;
    return this.#bytes > 2 * this.#limits.pendingBytesMax ? ReasonCode.quotaExceeded : 0;
  }

  reserve(type: number, bodyBytes: number): number {
    const offset = this.#pending.reserve(type, bodyBytes);
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyDue = true;
      this.#turnEnd.soon();
    }, this.#limits.lazyMs);
    return offset;
  }

  commit(callback: CommitCallback): void {
    const pending = this.#pending;
    if (pending.records === 0) {
      const last = this.#closed.at(-1) ?? this.#writing;
      if (last !== undefined) {
        last.callbacks.push(callback);
        return;
      }
    }
    pending.callbacks.push(callback);
    if (this.#writing === undefined || pending.bytes >= this.#limits.blockBytesMax)
      this.#turnEnd.soon();
  }

  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commit((failure) => {
        if (failure === undefined) resolve();
        else reject(failure);
      });
    });
  }

  /** Writes nothing and tells nobody anything, as before the first `resume`. */
  hold(): void {
    this.#held = true;
  }

  /** Goes on, with what was added meanwhile. */
  resume(): void {
    this.#held = false;
    this.#failure = undefined;
    if (this.#pending.records > 0 || this.#pending.callbacks.length > 0) this.#turnEnd.soon();
  }

  /** From now on all that is added fails. Who waits already is told by `failAll`. */
  refuse(failure: JournalFailure): void {
    this.#failure = failure;
    this.#held = false;
    this.#notLazy();
  }

  failAll(failure: JournalFailure): void {
    const all = [...this.#closed.splice(0), this.#pending.take()];
    this.#closedBytes = 0;
    this.#notLazy();
    for (const { callbacks, buffer, start, bytes } of all) {
      const nowhere: Written = { segment: 0, position: 0, buffer, start, bytes };
      for (const callback of callbacks) callback(failure, nowhere);
    }
    if (this.#pending.callbacks.length > 0) this.#turnEnd.soon();
  }

  /** Begins no other block; resolves when that which is being written is. */
  async stop(): Promise<void> {
    this.#notLazy();
    this.#held = true;
    const writing = this.#writing;
    if (writing === undefined) return;
    await new Promise<void>((resolve) => {
      writing.callbacks.push(() => {
        resolve();
      });
    });
  }

  get #bytes(): number {
    return this.#closedBytes + this.#pending.bytes;
  }

  #turnEnded(): void {
    if (this.#writing === undefined) {
      if (this.#stillGathers()) this.#turnEnd.soon();
      else this.#writeNext();
    } else if (this.#pending.bytes >= this.#limits.blockBytesMax) {
      this.#closed.push(this.#take());
    }
  }

  /** As long as each turn brings more, a few microseconds of waiting save whole syncs. */
  #stillGathers(): boolean {
    const { records } = this.#pending;
    const before = this.#gathered;
    if (before === 0) this.#gatheringSince = systemClock.monotonicMs();
    this.#gathered = records;
    return (
      records > before &&
      records < enoughRecords &&
      this.#closed.length === 0 &&
      systemClock.monotonicMs() - this.#gatheringSince < this.#limits.lingerMs
    );
  }

  #take(): Gathered {
    const gathered = this.#pending.take();
    this.#closedBytes += gathered.bytes;
    return gathered;
  }

  #writeNext(): void {
    if (this.#held) return;
    if (this.#failure !== undefined) {
      this.failAll(this.#failure);
      return;
    }
    const gathered = this.#closed.shift() ?? this.#take();
    this.#writing = gathered;
    this.#gathered = 0;
    this.#notLazy();
    if (gathered.records === 0) this.#written(gathered, 0);
    else this.#log.write(gathered, this.#writeEnded);
  }

  readonly #writeEnded = (error: unknown, ms: number): void => {
    const writing = this.#writing;
    if (writing === undefined) return;
    if (error === null) this.#written(writing, ms);
    else this.#failed(writing, failureOf(error));
  };

  #written(gathered: Gathered, ms: number): void {
    const { bytes, records, callbacks } = gathered;
    this.#writing = undefined;
    this.#closedBytes -= bytes;
    const written = this.#log.written(gathered);
    for (const callback of callbacks) callback(undefined, written);
    if (records > 0) this.#events.onWritten(records, bytes, ms);
    // A callback may have started the next one already.
    if (this.#writing !== undefined) return;
    const waited = this.#closed.length > 0 || this.#pending.callbacks.length > 0;
    if (waited || (this.#lazyDue && this.#pending.records > 0)) this.#writeNext();
  }

  #failed(writing: Gathered, failure: JournalFailure): void {
    this.#writing = undefined;
    this.#failure = failure;
    this.#closed.unshift(writing);
    this.#events.onFailed(failure);
    this.failAll(failure);
  }

  #notLazy(): void {
    clearTimeout(this.#lazyTimer);
    this.#lazyTimer = undefined;
    this.#lazyDue = false;
  }
}
