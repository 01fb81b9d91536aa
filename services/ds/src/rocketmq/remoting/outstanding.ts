import type { AnswerHeader } from './answer-header.ts';
import type { RequestName } from './codes.ts';

/** Why a request has no answer. */
export interface Failure {
  readonly kind: 'lost' | 'timed out';
  readonly reason: string;
  /** False: it has not left this process and never will. */
  readonly written: boolean;
}

/** May throw `GarbageReceived` before it has told anybody: then `failed` is called after all. */
type Answered = (header: AnswerHeader, body: Buffer) => void;

/** Earlier than any moment of a clock, and a number as these are. */
const notWritten = -1;

/** A request under way. Exactly one of its two functions is called, once. */
export class Outstanding {
  readonly name: RequestName;
  readonly opaque: number;
  /** JSON. */
  readonly header: string;
  readonly body: Buffer | undefined;
  readonly timeoutMs: number;
  readonly answered: Answered;
  readonly failed: (failure: Failure) => void;
  deadlineMs = 0;
  /** The request waits for the connection, or for the next write, until it is `written`. */
  writtenAtMs: number = notWritten;
  over = false;

  constructor(
    name: RequestName,
    opaque: number,
    timeoutMs: number,
    header: string,
    body: Buffer | undefined,
    answered: Answered,
    failed: (failure: Failure) => void,
  ) {
    this.name = name;
    this.opaque = opaque;
    this.header = header;
    this.body = body;
    this.timeoutMs = timeoutMs;
    this.answered = answered;
    this.failed = failed;
  }

  get written(): boolean {
    return this.writtenAtMs !== notWritten;
  }

  fail(kind: Failure['kind'], reason: string): void {
    this.over = true;
    this.failed({ kind, reason, written: this.written });
  }
}
