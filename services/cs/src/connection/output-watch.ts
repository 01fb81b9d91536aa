import type { Timed } from '../wheel.ts';
import type { ClientNode } from './client.ts';

/** A client with bytes that wait for it, and that is not read until it takes some. */
interface WatchedClient {
  readonly node: ClientNode;
  readonly outbox: {
    /** Grows with each byte that the client takes. */
    readonly takenBytes: number;
    /** The client took so many bytes that it may be read again. */
    readonly roomy: boolean;
  };
  readonly ended: boolean;
  readonly readingPaused: boolean;
  /** The client took nothing for WRITE_TIMEOUT_MS. */
  stalled(): void;
}

/** Number of checks within the time whether the client took anything. */
const checks = 4;

/**
 * A client that is not read until it takes its answers, and whether it takes anything: one byte
 * begins the time anew. Only who takes nothing for all of the time is given up.
 */
export class OutputWatch implements Timed {
  dueTick = -1;
  slotIndex = 0;
  readonly #client: WatchedClient;
  #taken = 0;
  #sinceMs = 0;

  constructor(client: WatchedClient) {
    this.#client = client;
  }

  /** Begins to watch. False: the watch had begun before. */
  begin(): boolean {
    if (this.dueTick !== -1) return false;
    const { node, outbox } = this.#client;
    this.#taken = outbox.takenBytes;
    this.#sinceMs = node.time.monotonicMs;
    node.wheel.add(this, node.config.writeTimeoutMs / checks, this.#sinceMs);
    return true;
  }

  due(nowMs: number): number {
    const { node, outbox, ended, readingPaused } = this.#client;
    if (ended || !readingPaused || outbox.roomy) return 0;
    const { takenBytes } = outbox;
    // Past the lease nothing is sent that the client could take.
    if (takenBytes !== this.#taken || node.leaseGate.frozen) {
      this.#taken = takenBytes;
      this.#sinceMs = nowMs;
    }
    const { writeTimeoutMs } = node.config;
    if (nowMs - this.#sinceMs < writeTimeoutMs) return writeTimeoutMs / checks;
    this.#client.stalled();
    return 0;
  }
}
