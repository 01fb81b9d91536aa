import { systemClock } from '@lmqtt/common/clock';
import { join } from 'node:path';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { Checkpointing } from './checkpointing.ts';
import { failureOf, JournalFailure } from './failure.ts';
import { DiskFiles, type Files } from './files.ts';
import { GroupCommit } from './group-commit.ts';
import type {
  BlockList,
  CommitCallback,
  Journal,
  JournalEvent,
  JournalOptions,
  JournalSegments,
  SealedSegment,
} from './journal.ts';
import { FolderLock } from './lock.ts';
import { LogEnd } from './log-end.ts';
import type { Participant, RecordHandler, SegmentIndex } from './participant.ts';
import { closeToOthers } from './permissions.ts';
import { recover } from './recovery.ts';
import { SealedSegments } from './sealed-segments.ts';
import { type OpenSegment, segmentName } from './segment.ts';

type Phase = 'new' | 'open' | 'failing' | 'recovering' | 'closing' | 'closed';

const retryMsMax = 5000;
/** Written for a proof before it goes on after a failure. */
const roomProved = 256 << 10;

/**
 * The journal on segment files: how it is opened, goes on after a failure, and is closed. What
 * makes a block is group-commit.ts, where it goes log-end.ts, what makes the log before it
 * superfluous checkpointing.ts.
 */
export class DiskJournal implements Journal, JournalSegments {
  readonly #directory: string;
  readonly #logDirectory: string;
  readonly #files: Files;
  readonly #segmentBytes: number;
  readonly #onEvent: (event: JournalEvent) => void;
  readonly #handlers = new Map<number, RecordHandler>();
  readonly #sealed: SealedSegments;
  readonly #log: LogEnd;
  readonly #commits: GroupCommit;
  readonly #checkpoints: Checkpointing;
  /** Without it the folder is another's. */
  #lock: FolderLock | undefined;
  #phase: Phase = 'new';
  #retryMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(options: JournalOptions, files: Files = new DiskFiles()) {
    const { directory } = options;
    const segmentBytes = options.segmentBytes ?? 64 << 20;
    const onEvent = options.onEvent ?? ((): void => undefined);
    this.#directory = directory;
    this.#logDirectory = join(directory, 'log');
    this.#files = files;
    this.#segmentBytes = segmentBytes;
    this.#onEvent = onEvent;
    this.#sealed = new SealedSegments(files, this.#logDirectory);
    this.#log = new LogEnd(files, this.#logDirectory, segmentBytes, this.#sealed, onEvent);
    const limits = {
      lingerMs: (options.commitLingerUs ?? 1000) / 1000,
      blockBytesMax: options.commitBytesMax ?? 4 << 20,
      pendingBytesMax: options.pendingAppendBytesMax ?? 64 << 20,
      lazyMs: options.lazyMs ?? 20,
    };
    this.#commits = new GroupCommit(this.#log, limits, {
      onWritten: (records, bytes, ms) => {
        onEvent({ kind: 'written', records, bytes, us: Math.round(ms * 1000) });
        this.#checkpoints.noteWritten(bytes);
      },
      onFailed: (failure) => {
        this.#failed(failure);
      },
    });
    this.#checkpoints = new Checkpointing(files, this.#log, this.#commits, {
      directory,
      intervalMs: (options.checkpointIntervalS ?? 30) * 1000,
      bytesMax: options.checkpointBytes ?? Math.max(4 * segmentBytes, 64 << 20),
      onEvent,
    });
  }

  register(type: number, handler: RecordHandler): void {
    if (this.#handlers.has(type)) throw new Error(`record type ${type} is taken`);
    this.#handlers.set(type, handler);
  }

  participate(participant: Participant): void {
    this.#checkpoints.participate(participant);
  }

  index(index: SegmentIndex): void {
    this.#sealed.index = index;
  }

  async open(): Promise<void> {
    await this.#files.makeDirectory(this.#logDirectory);
    this.#lock = await FolderLock.take(this.#directory);
    try {
      await closeToOthers(this.#directory);
      const mark = await this.#checkpoints.load();
      const { index } = this.#sealed;
      const recovery = await recover(this.#files, this.#logDirectory, mark, this.#handlers, index);
      const { segments, replayed, torn } = recovery;
      if (torn !== undefined) this.#onEvent({ kind: 'repaired', ...torn });
      await this.#log.begin(recovery);
      this.#sealed.begin(segments);
      const { wallTimeMs } = recovery;
      const sinceLastBlockS =
        wallTimeMs === 0 ? 0 : Math.round((systemClock.nowMs() - wallTimeMs) / 1000);
      this.#onEvent({ kind: 'opened', segments: segments.length, replayed, sinceLastBlockS });
    } catch (error) {
      await this.#letGo();
      throw error;
    }
    this.#phase = 'open';
    this.#checkpoints.begin();
    this.#commits.resume();
  }

  async close(): Promise<void> {
    if (this.#phase === 'closed' || this.#phase === 'new') return;
    this.#checkpoints.end();
    clearTimeout(this.#retryTimer);
    await this.durable().catch(() => undefined);
    await this.checkpoint().catch(() => undefined);
    await this.durable().catch(() => undefined);
    this.#phase = 'closing';
    const closed = new JournalFailure('the log is closed', ReasonCode.serverShuttingDown);
    this.#commits.refuse(closed);
    this.#log.seal();
    await this.#sealed.settle();
    this.#commits.failAll(closed);
    await this.#letGo();
    this.#phase = 'closed';
    this.#commits.hold();
  }

  /** Stops as a crash would: writes nothing, answers nothing, but frees the folder. */
  async abandon(): Promise<void> {
    this.#checkpoints.end();
    clearTimeout(this.#retryTimer);
    this.#phase = 'closed';
    this.#commits.refuse(
      this.#commits.failure ??
        new JournalFailure('the log is closed', ReasonCode.serverShuttingDown),
    );
    await this.#commits.stop();
    await this.#checkpoints.settle();
    await this.#log.abandon();
    await this.#letGo();
  }

  reserve(type: number, bodyBytes: number): number {
    return this.#commits.reserve(type, bodyBytes);
  }

  get buffer(): Buffer {
    return this.#commits.buffer;
  }

  get blockStart(): number {
    return this.#commits.blockStart;
  }

  add(type: number, body: Buffer): void {
    const offset = this.reserve(type, body.length);
    body.copy(this.buffer, offset);
  }

  commit(callback: CommitCallback): void {
    this.#commits.commit(callback);
  }

  durable(): Promise<void> {
    return this.#commits.durable();
  }

  get refusal(): number {
    return this.#commits.refusal;
  }

  nextOrder(): number {
    return this.#log.nextOrder();
  }

  brokerTimeMs(): number {
    return this.#log.brokerTimeMs();
  }

  checkpoint(): Promise<void> {
    return this.#checkpoints.take();
  }

  get segments(): readonly SealedSegment[] {
    return this.#sealed.list;
  }

  get openSegment(): number {
    return this.#log.openSegment;
  }

  get coveredBelow(): number {
    return this.#checkpoints.coveredBelow;
  }

  onCovered(listener: () => void): void {
    this.#checkpoints.onCovered(listener);
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

  blocks(segment: number): Promise<BlockList> {
    return this.#sealed.blocks(segment);
  }

  saltOf(segment: number): Promise<number> {
    return this.#sealed.saltOf(segment);
  }

  remove(number: number): Promise<void> {
    return this.#sealed.remove(number, this.coveredBelow);
  }

  #failed(failure: JournalFailure): void {
    if (this.#phase === 'open') this.#phase = 'failing';
    this.#onEvent({ kind: 'failed', failure });
    this.#retryLater();
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
    const { failure } = this.#commits;
    if (this.#phase !== 'failing' || failure === undefined || this.#lock === undefined) return;
    let next: OpenSegment | undefined;
    try {
      await this.#checkpoints.settle();
      next = await this.#log.successor();
      await next.proveRoom(Math.min(roomProved, this.#segmentBytes));
      this.#commits.failAll(failure);
      this.#phase = 'recovering';
      this.#commits.hold();
      await this.#checkpoints.takeWhole(this.#log.markIn(next));
    } catch (error) {
      this.#phase = 'failing';
      this.#commits.refuse(failure);
      if (next !== undefined) await this.#discard(next);
      const again = failureOf(error);
      // On a full disk lmdb may report an input/output error.
      const told = again.reasonCode === ReasonCode.quotaExceeded ? again : failure;
      this.#commits.refuse(told);
      this.#commits.failAll(told);
      this.#retryLater();
      return;
    }
    this.#log.moveTo(next);
    this.#retryMs = 0;
    this.#phase = 'open';
    this.#commits.resume();
    this.#checkpoints.tellCovered();
    this.#onEvent({ kind: 'recovered' });
  }

  async #discard(segment: OpenSegment): Promise<void> {
    await segment.close().catch(() => undefined);
    const path = join(this.#logDirectory, segmentName(segment.number));
    await this.#files.remove(path).catch(() => undefined);
  }

  async #letGo(): Promise<void> {
    await this.#sealed.close();
    await this.#checkpoints.close();
    await this.#lock?.free();
    this.#lock = undefined;
  }
}
