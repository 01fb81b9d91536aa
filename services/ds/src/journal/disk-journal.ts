import { join } from 'node:path';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { sealBlock } from './block.ts';
import { takeCheckpoint, takeWholeCheckpoint } from './checkpoint.ts';
import { failureOf, JournalFailure } from './failure.ts';
import { DiskFiles, type Files } from './files.ts';
import type {
  CommitCallback,
  Journal,
  JournalEvent,
  JournalOptions,
  JournalSegments,
  SealedSegment,
  Written,
} from './journal.ts';
import { FolderLock } from './lock.ts';
import type { Participant, RecordHandler, SegmentIndex } from './participant.ts';
import { Pending, type Gathered } from './pending.ts';
import { recover } from './recovery.ts';
import { SealedSegments } from './sealed-segments.ts';
import { OpenSegment, segmentName } from './segment.ts';
import { CheckpointState, type CheckpointMark } from './state.ts';

type Phase = 'new' | 'open' | 'failing' | 'recovering' | 'closing' | 'closed';

const retryMsMax = 5000;
/** A block with so many is worth a sync of its own. */
const enoughRecords = 64;
/** Written for a proof before it goes on after a failure. */
const roomProved = 256 << 10;

/**
 * The journal on segment files. One block is written at a time; what comes meanwhile gathers in
 * the next, which is written at once when that is done, if anybody waits for it. The first commit
 * of an idle journal is written at the end of the turn, so that all sockets read in it share it,
 * or some turns later, as long as each brings more.
 */
export class DiskJournal implements Journal, JournalSegments {
  readonly #directory: string;
  readonly #log: string;
  readonly #files: Files;
  readonly #segmentBytes: number;
  readonly #checkpointMs: number;
  readonly #checkpointBytes: number;
  readonly #lingerMs: number;
  readonly #commitBytesMax: number;
  readonly #pendingMax: number;
  readonly #lazyMs: number;
  readonly #onEvent: (event: JournalEvent) => void;

  readonly #handlers = new Map<number, RecordHandler>();
  readonly #participants: Participant[] = [];
  #lock: FolderLock | undefined;
  #state: CheckpointState | undefined;

  #phase: Phase = 'new';
  readonly #pending = new Pending();
  readonly #closed: Gathered[] = [];
  #closedBytes = 0;
  #writing: Gathered | undefined;
  #scheduled = false;
  #gatheringSince = 0;
  #gathered = 0;
  #lazyTimer: NodeJS.Timeout | undefined;
  #lazyDue = false;
  #failure: JournalFailure | undefined;
  #retryMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #drained: (() => void)[] = [];

  #segment: OpenSegment | undefined;
  readonly #sealed: SealedSegments;
  #nextNumber = 1;
  #sequence = 0;
  /** Of the block after the last durable one. */
  #durableSequence = 0;
  #order = 0;
  #brokerTimeBase = 0;
  #brokerTimeSince = 0;

  #mark: CheckpointMark | undefined;
  #bytesSinceCheckpoint = 0;
  #onCovered: () => void = () => undefined;
  #checkpointRun: Promise<void> | undefined;
  #checkpointTimer: NodeJS.Timeout | undefined;

  constructor(options: JournalOptions, files: Files = new DiskFiles()) {
    this.#directory = options.directory;
    this.#log = join(options.directory, 'log');
    this.#files = files;
    this.#segmentBytes = options.segmentBytes ?? 64 << 20;
    this.#checkpointMs = (options.checkpointIntervalS ?? 30) * 1000;
    this.#checkpointBytes = options.checkpointBytes ?? Math.max(4 * this.#segmentBytes, 64 << 20);
    this.#lingerMs = (options.commitLingerUs ?? 1000) / 1000;
    this.#commitBytesMax = options.commitBytesMax ?? 4 << 20;
    this.#pendingMax = options.pendingAppendBytesMax ?? 64 << 20;
    this.#lazyMs = options.lazyMs ?? 20;
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#sealed = new SealedSegments(files, this.#log);
  }

  register(type: number, handler: RecordHandler): void {
    if (this.#handlers.has(type)) throw new Error(`record type ${type} is taken`);
    this.#handlers.set(type, handler);
  }

  participate(participant: Participant): void {
    this.#participants.push(participant);
  }

  index(index: SegmentIndex): void {
    this.#sealed.index = index;
  }

  async open(): Promise<void> {
    await this.#files.makeDirectory(this.#log);
    this.#lock = await FolderLock.take(this.#directory);
    try {
      const state = new CheckpointState(this.#directory);
      this.#state = state;
      for (const participant of this.#participants) {
        state.load(participant.name, (key, value) => {
          participant.load(key, value);
        });
      }
      this.#mark = state.mark();
      const recovery = await recover(
        this.#files,
        this.#log,
        this.#mark,
        this.#handlers,
        this.#sealed.index,
      );
      this.#nextNumber = recovery.nextNumber;
      this.#sequence = recovery.nextSequence;
      this.#durableSequence = this.#sequence;
      this.#order = recovery.order;
      this.#brokerTimeBase = recovery.brokerTimeMs;
      this.#brokerTimeSince = performance.now();
      if (recovery.torn !== undefined) this.#onEvent({ kind: 'repaired', ...recovery.torn });
      this.#segment = await this.#nextSegment(recovery.segments.at(-1));
      this.#sealed.begin(recovery.segments);
      this.#onEvent({
        kind: 'opened',
        segments: recovery.segments.length,
        replayed: recovery.replayed,
      });
    } catch (error) {
      await this.#letGo();
      throw error;
    }
    this.#phase = 'open';
    this.#checkpointTimer = setInterval(() => {
      this.checkpoint().catch(() => undefined);
    }, this.#checkpointMs);
    this.#checkpointTimer.unref();
    if (this.#pending.records > 0 || this.#pending.callbacks.length > 0) this.#schedule();
  }

  async close(): Promise<void> {
    if (this.#phase === 'closed' || this.#phase === 'new') return;
    clearInterval(this.#checkpointTimer);
    clearTimeout(this.#lazyTimer);
    clearTimeout(this.#retryTimer);
    await this.durable().catch(() => undefined);
    await this.checkpoint().catch(() => undefined);
    await this.durable().catch(() => undefined);
    this.#phase = 'closing';
    clearTimeout(this.#lazyTimer);
    this.#failure = new JournalFailure('the log is closed', ReasonCode.serverShuttingDown);
    const segment = this.#segment;
    if (segment !== undefined) this.#seal(segment);
    await this.#sealed.settle();
    this.#failPending(this.#failure);
    await this.#letGo();
    this.#phase = 'closed';
  }

  /** Stops as a crash would: writes nothing, answers nothing, but frees the folder. */
  async abandon(): Promise<void> {
    clearInterval(this.#checkpointTimer);
    clearTimeout(this.#retryTimer);
    this.#notLazy();
    this.#phase = 'closed';
    const segment = this.#segment;
    const writing = this.#writing;
    if (writing !== undefined) {
      await new Promise<void>((resolve) => {
        writing.callbacks.push(() => {
          resolve();
        });
      });
    }
    this.#segment = undefined;
    this.#failure ??= new JournalFailure('the log is closed', ReasonCode.serverShuttingDown);
    await this.#checkpointRun?.catch(() => undefined);
    await segment?.abandon();
    await this.#letGo();
  }

  reserve(type: number, bodyBytes: number): number {
    const offset = this.#pending.reserve(type, bodyBytes);
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyDue = true;
      this.#schedule();
    }, this.#lazyMs);
    return offset;
  }

  get buffer(): Buffer {
    return this.#pending.buffer;
  }

  get blockStart(): number {
    return this.#pending.blockStart;
  }

  add(type: number, body: Buffer): void {
    const offset = this.reserve(type, body.length);
    body.copy(this.#pending.buffer, offset);
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
    if (this.#writing === undefined || pending.bytes >= this.#commitBytesMax) this.#schedule();
  }

  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.commit((failure) => {
        if (failure === undefined) resolve();
        else reject(failure);
      });
    });
  }

  get refusal(): number {
    if (this.#failure !== undefined) return this.#failure.reasonCode;
    return this.#pendingBytes > 2 * this.#pendingMax ? ReasonCode.quotaExceeded : 0;
  }

  get full(): boolean {
    return this.#pendingBytes > this.#pendingMax;
  }

  onDrain(callback: () => void): void {
    if (this.full) this.#drained.push(callback);
    else setImmediate(callback);
  }

  nextOrder(): number {
    return ++this.#order;
  }

  brokerTimeMs(): number {
    return Math.floor(this.#brokerTimeBase + performance.now() - this.#brokerTimeSince);
  }

  checkpoint(): Promise<void> {
    this.#checkpointRun ??= this.#takeCheckpoint().finally(() => {
      this.#checkpointRun = undefined;
    });
    return this.#checkpointRun;
  }

  get segments(): readonly SealedSegment[] {
    return this.#sealed.list;
  }

  get openSegment(): number {
    return this.#segment?.number ?? this.#nextNumber;
  }

  get coveredBelow(): number {
    return this.#mark?.segment ?? 0;
  }

  onCovered(listener: () => void): void {
    this.#onCovered = listener;
  }

  read(
    segment: number,
    buffer: Buffer,
    start: number,
    bytes: number,
    position: number,
  ): Promise<number> {
    return this.#sealed.read(segment, buffer, start, bytes, position);
  }

  remove(number: number): Promise<void> {
    return this.#sealed.remove(number, this.coveredBelow);
  }

  get #pendingBytes(): number {
    return this.#closedBytes + this.#pending.bytes;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turnEnded();
    });
  }

  #turnEnded(): void {
    if (this.#writing === undefined) {
      if (this.#stillGathers()) this.#schedule();
      else this.#writeNext();
    } else if (this.#pending.bytes >= this.#commitBytesMax) {
      const gathered = this.#pending.take();
      this.#closedBytes += gathered.bytes;
      this.#closed.push(gathered);
    }
  }

  /** As long as each turn brings more, a few microseconds of waiting save whole syncs. */
  #stillGathers(): boolean {
    const { records } = this.#pending;
    const before = this.#gathered;
    if (before === 0) this.#gatheringSince = performance.now();
    this.#gathered = records;
    return (
      records > before &&
      records < enoughRecords &&
      this.#closed.length === 0 &&
      performance.now() - this.#gatheringSince < this.#lingerMs
    );
  }

  #writeNext(): void {
    if (this.#phase === 'recovering' || this.#phase === 'new' || this.#phase === 'closed') return;
    if (this.#failure !== undefined) {
      this.#failPending(this.#failure);
      return;
    }
    let gathered = this.#closed.shift();
    if (gathered === undefined) {
      gathered = this.#pending.take();
      this.#closedBytes += gathered.bytes;
    }
    this.#writing = gathered;
    this.#gathered = 0;
    this.#notLazy();
    if (gathered.records === 0) this.#written(gathered, 0);
    else this.#writeBlock(gathered);
  }

  #writeBlock(gathered: Gathered): void {
    const { buffer, start, bytes, records } = gathered;
    const segment = this.#segment;
    if (segment === undefined) return;
    if (segment.end + bytes > this.#segmentBytes && !segment.empty) {
      this.#roll(segment).then(
        () => {
          this.#writeBlock(gathered);
        },
        (error: unknown) => {
          this.#fail(error);
        },
      );
      return;
    }
    sealBlock(buffer, start, segment.salt, {
      bytes,
      records,
      sequence: this.#sequence++,
      wallTimeMs: Date.now(),
      brokerTimeMs: this.brokerTimeMs(),
      order: this.#order,
    });
    const began = performance.now();
    segment.write(buffer, start, bytes, (error) => {
      if (error !== null) this.#fail(error);
      else this.#written(gathered, performance.now() - began);
    });
  }

  #written(gathered: Gathered, ms: number): void {
    const { bytes, records, callbacks, buffer, start } = gathered;
    this.#writing = undefined;
    this.#closedBytes -= bytes;
    this.#bytesSinceCheckpoint += bytes;
    if (records > 0) this.#durableSequence = this.#sequence;
    const segment = this.#segment;
    const written: Written = {
      segment: segment?.number ?? 0,
      position: (segment?.end ?? bytes) - bytes,
      buffer,
      start,
      bytes,
    };
    for (const callback of callbacks) callback(undefined, written);
    if (records > 0) {
      this.#onEvent({ kind: 'written', records, bytes, us: Math.round(ms * 1000) });
      if (this.#bytesSinceCheckpoint > this.#checkpointBytes && this.#phase === 'open') {
        this.#bytesSinceCheckpoint = 0;
        this.checkpoint().catch(() => undefined);
      }
    }
    this.#drain();
    // A callback may have started the next one already.
    if (this.#writing !== undefined) return;
    const waited = this.#closed.length > 0 || this.#pending.callbacks.length > 0;
    if (waited || (this.#lazyDue && this.#pending.records > 0)) this.#writeNext();
  }

  #notLazy(): void {
    clearTimeout(this.#lazyTimer);
    this.#lazyTimer = undefined;
    this.#lazyDue = false;
  }

  #drain(): void {
    if (this.#drained.length === 0 || this.#pendingBytes > this.#pendingMax / 2) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const callback of drained) setImmediate(callback);
  }

  async #roll(full: OpenSegment): Promise<void> {
    this.#segment = await this.#nextSegment({ number: full.number, end: full.end });
    this.#seal(full);
  }

  #nextSegment(
    previous: { readonly number: number; readonly end: number } | undefined,
  ): Promise<OpenSegment> {
    return OpenSegment.create(
      this.#files,
      this.#log,
      this.#nextNumber++,
      this.#sequence,
      previous,
      this.#segmentBytes,
    );
  }

  #seal(segment: OpenSegment): void {
    this.#sealed.seal(segment);
    this.#onEvent({ kind: 'sealed', segment: segment.number, bytes: segment.end });
  }

  /** The block that was being written, and all behind it, are void: the next segment says so. */
  #fail(error: unknown): void {
    const failure = failureOf(error);
    const writing = this.#writing;
    this.#writing = undefined;
    this.#failure = failure;
    this.#phase = this.#phase === 'open' ? 'failing' : this.#phase;
    this.#onEvent({ kind: 'failed', failure });
    if (writing !== undefined) this.#closed.unshift(writing);
    this.#failPending(failure);
    this.#retryLater();
  }

  #failPending(failure: JournalFailure): void {
    const all = [...this.#closed.splice(0), this.#pending.take()];
    this.#closedBytes = 0;
    this.#notLazy();
    for (const { callbacks, buffer, start, bytes } of all) {
      const nowhere: Written = { segment: 0, position: 0, buffer, start, bytes };
      for (const callback of callbacks) callback(failure, nowhere);
    }
    this.#drain();
    if (this.#pending.callbacks.length > 0) this.#schedule();
  }

  #retryLater(): void {
    if (this.#phase !== 'failing') return;
    this.#retryMs = Math.min(retryMsMax, Math.max(50, this.#retryMs * 2));
    this.#retryTimer = setTimeout(() => {
      void this.#recover();
    }, this.#retryMs);
    this.#retryTimer.unref();
  }

  /**
   * After a failed write nobody knows what is on the disk, so it goes on in a new segment. Then
   * memory holds more than the log; see participant.ts for why a whole checkpoint mends that.
   */
  async #recover(): Promise<void> {
    const failure = this.#failure;
    const state = this.#state;
    const broken = this.#segment;
    if (this.#phase !== 'failing' || !failure || !state || !broken) return;
    let next: OpenSegment | undefined;
    try {
      await this.#checkpointRun?.catch(() => undefined);
      next = await this.#nextSegment({ number: broken.number, end: broken.end });
      await next.proveRoom(Math.min(roomProved, this.#segmentBytes));
      this.#failPending(failure);
      this.#phase = 'recovering';
      this.#durableSequence = this.#sequence;
      const mark = this.#markAt(next);
      await takeWholeCheckpoint(state, this.#participants, mark);
      await this.#syncState();
      this.#mark = mark;
    } catch (error) {
      this.#phase = 'failing';
      if (next !== undefined) {
        await next.close().catch(() => undefined);
        await this.#files.remove(join(this.#log, segmentName(next.number))).catch(() => undefined);
      }
      const again = failureOf(error);
      // Where there is no room, lmdb may speak of an input/output error.
      this.#failure = again.reasonCode === ReasonCode.quotaExceeded ? again : failure;
      this.#failPending(this.#failure);
      this.#retryLater();
      return;
    }
    this.#segment = next;
    this.#seal(broken);
    this.#failure = undefined;
    this.#retryMs = 0;
    this.#phase = 'open';
    this.#onCovered();
    this.#onEvent({ kind: 'recovered' });
    if (this.#pending.records > 0 || this.#pending.callbacks.length > 0) this.#schedule();
  }

  /** The end of the last block whose callbacks have run. */
  #markAt(segment: OpenSegment): CheckpointMark {
    return {
      segment: segment.number,
      position: segment.end,
      sequence: this.#durableSequence,
      order: this.#order,
      brokerTimeMs: this.brokerTimeMs(),
    };
  }

  async #takeCheckpoint(): Promise<void> {
    // Not from within a commit callback: the others of its block have not run yet.
    await new Promise((done) => setImmediate(done));
    const state = this.#state;
    const segment = this.#segment;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#phase !== 'open' || state === undefined || segment === undefined) return;
    const began = performance.now();
    try {
      const mark = this.#markAt(segment);
      const entries = await takeCheckpoint(state, this.#participants, mark, () => this.durable());
      await this.#syncState();
      this.#mark = mark;
      this.#bytesSinceCheckpoint = 0;
      this.#onCovered();
      this.#onEvent({ kind: 'checkpoint', entries, ms: Math.round(performance.now() - began) });
    } catch (error) {
      const failure = failureOf(error);
      this.#onEvent({ kind: 'checkpoint failed', failure });
      throw failure;
    }
  }

  /** The entries are durable; so must be the name of their file before segments may go. */
  #syncState(): Promise<void> {
    return this.#files.syncDirectory(join(this.#directory, 'state'));
  }

  async #letGo(): Promise<void> {
    await this.#sealed.close();
    await this.#state?.close();
    this.#state = undefined;
    await this.#lock?.free();
    this.#lock = undefined;
  }
}
