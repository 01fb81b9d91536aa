import type { Message } from '@lmqtt/common/message';

/** Why a message was not delivered. */
export const deadReasons = [
  'refused',
  'unacknowledged',
  'expired',
  'too large',
  'session ended',
  'not stored',
] as const;

export type DeadReason = (typeof deadReasons)[number];

/** A message that was to go to somebody, and what became of that. */
export interface RetryEntry {
  readonly message: Message;
  /** Client that the message was for. */
  readonly clientId: string;
  /** Filter of the subscription that it matched. */
  readonly filter: string;
  readonly reason: DeadReason;
  /** Code in the client's PUBACK or PUBREC; 0: it did not send one. */
  readonly reasonCode: number;
  /** How often it was sent, or stored again. */
  readonly attempts: number;
  /** Wall clock in ms; 0: not known. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** An entry that is due. Until it is acknowledged it belongs to who took it. */
export interface TakenEntry {
  readonly id: string;
  readonly entry: RetryEntry;
}

export interface DeadLetter {
  readonly id: string;
  /** Wall clock in ms: when it was put there. */
  readonly deadMs: number;
  readonly entry: RetryEntry;
}

/**
 * Messages that wait for another try, and dead letters: those for which there is none.
 *
 * Promises
 * - What `put`, `deadLetter` and `replay` were given is stored when they resolve, and is there after a
 *   crash. Where they reject, it may be stored or not.
 * - An entry is taken when its delay has passed, not before, and at most as much later as the adapter
 *   says. What was taken and not acknowledged is taken again after a restart: at least once.
 * - What was acknowledged when the call resolved is not taken again, save by an adapter that says so.
 * - Dead letters are listed oldest first, each once over all pages, and stay until they are replayed,
 *   purged or driven out by newer ones past the limit, which is counted.
 * - `replay` puts dead letters, with 0 attempts, among those that wait before it takes them away: a
 *   crash between leaves both.
 */
export interface RetryQueue {
  put(entries: readonly RetryEntry[], delayMs: number): Promise<void>;
  /** Entries that are due, the earliest first, at most so many. Called by one ds at a time. */
  take(entriesMax: number): Promise<TakenEntry[]>;
  acknowledge(ids: readonly string[]): Promise<void>;
  deadLetter(entries: readonly RetryEntry[]): Promise<void>;
  /** Dead letters behind the one named; `after` undefined: from the oldest. */
  list(after: string | undefined, lettersMax: number): Promise<DeadLetter[]>;
  find(id: string): Promise<DeadLetter | undefined>;
  /** Puts dead letters among those that wait; resolves to how many there were of these. */
  replay(ids: readonly string[], delayMs: number): Promise<number>;
  /** Removes dead letters, or all that there are; resolves to how many there were. */
  purge(ids: readonly string[] | 'all'): Promise<number>;
}
