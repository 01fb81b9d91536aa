import { systemClock } from '@lmqtt/common/clock';
import { join } from 'node:path';
import { nextTurn } from '@lmqtt/common/pause';
import { takeCheckpoint, takeWholeCheckpoint } from './checkpoint.ts';
import { failureOf } from './failure.ts';
import type { Files } from './files.ts';
import type { GroupCommit } from './group-commit.ts';
import type { JournalEvent } from './journal.ts';
import type { LogEnd } from './log-end.ts';
import type { Participant } from './participant.ts';
import { StateOpening } from './state-opening.ts';
import type { CheckpointMark, CheckpointState } from './state.ts';

interface CheckpointingOptions {
  readonly directory: string;
  readonly intervalMs: number;
  /** Bytes of log after which a checkpoint is due before its time. */
  readonly bytesMax: number;
  readonly onEvent: (event: JournalEvent) => void;
}

/**
 * When a checkpoint is due, and what the last one covers. Hides that there is one at a time, which
 * all who want one join, and that it counts only when the name of its file is durable as well.
 */
export class Checkpointing {
  readonly #files: Files;
  readonly #log: LogEnd;
  readonly #commits: GroupCommit;
  readonly #options: CheckpointingOptions;
  readonly #participants: Participant[] = [];
  #state: CheckpointState | undefined;
  #mark: CheckpointMark | undefined;
  #bytesSince = 0;
  #run: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onCovered: () => void = () => undefined;

  constructor(files: Files, log: LogEnd, commits: GroupCommit, options: CheckpointingOptions) {
    this.#files = files;
    this.#log = log;
    this.#commits = commits;
    this.#options = options;
  }

  get coveredBelow(): number {
    return this.#mark?.segment ?? 0;
  }

  onCovered(listener: () => void): void {
    this.#onCovered = listener;
  }

  participate(participant: Participant): void {
    this.#participants.push(participant);
  }

  /** Gives the participants their entries. The rest is in the log, from what is returned on. */
  async load(): Promise<CheckpointMark | undefined> {
    const opening = new StateOpening(this.#options.directory);
    const { state, diedBefore } = await opening.open();
    this.#state = state;
    if (diedBefore) this.#options.onEvent({ kind: 'opened again' });
    for (const participant of this.#participants) {
      const again = state.load(participant.name, (key, value) => {
        participant.load(key, value);
      });
      participant.putBack(again);
    }
    this.#mark = state.mark();
    opening.done();
    return this.#mark;
  }

  /** From now on one is taken when it is due. */
  begin(): void {
    this.#timer = setInterval(() => {
      this.take().catch(() => undefined);
    }, this.#options.intervalMs);
    this.#timer.unref();
  }

  /** None is taken any more but by `take`. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  noteWritten(bytes: number): void {
    this.#bytesSince += bytes;
    if (this.#bytesSince <= this.#options.bytesMax || this.#timer === undefined) return;
    this.#bytesSince = 0;
    this.take().catch(() => undefined);
  }

  take(): Promise<void> {
    this.#run ??= this.#take().finally(() => {
      this.#run = undefined;
    });
    return this.#run;
  }

  /** All that changed, in one turn and one transaction: participant.ts tells what for. */
  async takeWhole(mark: CheckpointMark): Promise<void> {
    if (this.#state === undefined) throw new Error('the state is closed');
    await takeWholeCheckpoint(this.#state, this.#participants, mark);
    await this.#syncState();
    this.#mark = mark;
  }

  /** Tells the listener that segments may go. */
  tellCovered(): void {
    this.#onCovered();
  }

  /** Waits for the one that runs. */
  async settle(): Promise<void> {
    await this.#run?.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#state?.close();
    this.#state = undefined;
  }

  async #take(): Promise<void> {
    // Not from within a commit callback: the others of its block have not run yet.
    await nextTurn();
    const state = this.#state;
    const mark = this.#log.mark();
    if (this.#commits.failure !== undefined) throw this.#commits.failure;
    if (state === undefined || mark === undefined) return;
    const began = systemClock.monotonicMs();
    const { onEvent } = this.#options;
    try {
      const durable = (): Promise<void> => this.#commits.durable();
      const entries = await takeCheckpoint(state, this.#participants, mark, durable);
      await this.#syncState();
      this.#mark = mark;
      this.#bytesSince = 0;
      this.#onCovered();
      onEvent({ kind: 'checkpoint', entries, ms: Math.round(systemClock.monotonicMs() - began) });
    } catch (error) {
      const failure = failureOf(error);
      onEvent({ kind: 'checkpoint failed', failure });
      throw failure;
    }
  }

  /** The entries are durable; so must be the name of their file before segments may go. */
  #syncState(): Promise<void> {
    return this.#files.syncDirectory(join(this.#options.directory, 'state'));
  }
}
