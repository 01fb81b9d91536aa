import type { DelayedInbound, DelayedLimit, DelayedPut } from '../delayed-store/delayed-store.ts';
import type { Answer } from '../sessions/answer.ts';
import type { Later } from './delayed-publishes.ts';
import { PendingAppend } from './pending-append.ts';

/** A publish that waits for its time first. */
export class DelayedAppend extends PendingAppend implements DelayedPut {
  readonly dueAtMs: number;
  readonly afterMs: number | undefined;
  limit: DelayedLimit | undefined = undefined;
  declare readonly inbound: DelayedInbound | undefined;

  constructor(
    { message, dueAtMs, afterMs }: Later,
    lane: string,
    inbound: DelayedInbound | undefined,
    answer: Answer | undefined,
  ) {
    super(message, [], lane, inbound, answer);
    this.dueAtMs = dueAtMs;
    this.afterMs = afterMs;
    // Not before its time.
    this.retained = true;
  }
}
