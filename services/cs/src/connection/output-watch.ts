import type { Timed } from '../wheel.ts';

/** What is watched: the bytes that wait for a client which is not read meanwhile. */
export interface WatchedOutput {
  /** Grows with each byte that the client takes. */
  readonly takenBytes: number;
}

/** How often within the time it is looked whether anything was taken. */
const checks = 4;

/**
 * A client that is not read until it takes its answers, and whether it takes anything: one byte
 * begins the time anew. Only who takes nothing for all of the time is given up.
 */
export class OutputWatch implements Timed {
  dueTick = -1;
  slotIndex = 0;
  private readonly output: WatchedOutput;
  private readonly timeoutMs: number;
  /** Whether anything could have been taken, and is still to be. */
  private readonly state: () => 'over' | 'held back' | 'waits';
  private readonly stalled: () => void;
  private taken = 0;
  private sinceMs = 0;

  constructor(
    output: WatchedOutput,
    timeoutMs: number,
    state: () => 'over' | 'held back' | 'waits',
    stalled: () => void,
  ) {
    this.output = output;
    this.timeoutMs = timeoutMs;
    this.state = state;
    this.stalled = stalled;
  }

  /** Until the first look at it, ms. */
  begin(nowMs: number): number {
    this.taken = this.output.takenBytes;
    this.sinceMs = nowMs;
    return this.timeoutMs / checks;
  }

  due(nowMs: number): number {
    const state = this.state();
    if (state === 'over') return 0;
    const { takenBytes } = this.output;
    if (takenBytes !== this.taken || state === 'held back') {
      this.taken = takenBytes;
      this.sinceMs = nowMs;
    }
    if (nowMs - this.sinceMs < this.timeoutMs) return this.timeoutMs / checks;
    this.stalled();
    return 0;
  }
}
