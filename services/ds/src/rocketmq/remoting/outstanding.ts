import type { AnswerHeader } from './answer-header.ts';
import type { RequestName } from './codes.ts';

/** Why a request has no answer. */
export interface Failure {
  readonly kind: 'lost' | 'timed out';
  readonly reason: string;
  /** False: it has not left this process and never will. */
  readonly written: boolean;
}

/** What a connection is asked to carry. Exactly one of the two functions is called, once. */
export interface Exchange {
  readonly name: RequestName;
  readonly opaque: number;
  /** JSON. */
  readonly header: string;
  readonly body: Buffer | undefined;
  readonly timeoutMs: number;
  /** May throw `GarbageReceived` before it has told anybody: then `failed` is called after all. */
  readonly answered: (header: AnswerHeader, body: Buffer) => void;
  readonly failed: (failure: Failure) => void;
}

/** An exchange that is under way. */
export interface Outstanding extends Exchange {
  readonly deadlineMs: number;
  /** Undefined: it waits for the connection, or for the next write. */
  writtenAtMs: number | undefined;
  over: boolean;
}
