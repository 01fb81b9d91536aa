import { systemClock } from '@lmqtt/common/clock';

export type Reply = null | number | string | Buffer | Reply[];
export type Argument = string | number | Buffer;

/** A command that waits for the connection, or for its answer. */
export interface Waiting {
  readonly name: string;
  readonly args: Argument[];
  readonly binary: boolean;
  readonly deadlineMs: number;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

const looksPerTimeout = 20;
const lookMsMin = 20;

/**
 * Deadlines of what is under way. All have the same time, so that they end in the order in which
 * they were added, and one timer looks at the oldest.
 */
export class InFlight {
  readonly #lookMs: number;
  readonly #expired: (waiting: Waiting[]) => void;
  readonly #all = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, expired: (waiting: Waiting[]) => void) {
    this.#lookMs = Math.max(lookMsMin, timeoutMs / looksPerTimeout);
    this.#expired = expired;
  }

  get count(): number {
    return this.#all.size;
  }

  add(waiting: Waiting): void {
    this.#all.add(waiting);
    this.#timer ??= setInterval(() => this.#look(), this.#lookMs);
  }

  /** False: it was over before. */
  delete(waiting: Waiting): boolean {
    return this.#all.delete(waiting);
  }

  stop(): Waiting[] {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const rest = [...this.#all];
    this.#all.clear();
    return rest;
  }

  #look(): void {
    if (this.#all.size === 0) {
      this.stop();
      return;
    }
    const nowMs = systemClock.monotonicMs();
    const over: Waiting[] = [];
    for (const waiting of this.#all) {
      if (waiting.deadlineMs > nowMs) break;
      over.push(waiting);
    }
    for (const waiting of over) this.#all.delete(waiting);
    if (over.length > 0) this.#expired(over);
  }
}
