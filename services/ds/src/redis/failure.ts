import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';

/** Outcome of a command that failed; `unknown`: it was sent, and no answer came. */
export type Outcome = 'not done' | 'unknown';

/** Redis cannot serve at present: away, silent, full, no master, or too much waits for it. */
export class RedisUnavailable extends StoreFailure {
  override readonly name = 'RedisUnavailable';
  readonly outcome: Outcome;

  constructor(reason: string, outcome: Outcome) {
    super(reason, ReasonCode.implementationSpecificError);
    this.outcome = outcome;
  }
}

/** Redis has answered with an error: a mistake of ours, or a permission that is missing. */
export class RedisRefused extends Error {
  override readonly name = 'RedisRefused';
  /** The first word of the answer: `ERR`, `NOPERM`, `WRONGTYPE`. */
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
  }
}

/** Answers of a server that has done nothing and may do so later, or elsewhere. */
const passing =
  /\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|BUSY|MOVED|ASK)\b/;

/** For errors of ioredis. Its own, all others than answers, are of the connection. */
export function failureOf(error: unknown): RedisUnavailable | RedisRefused {
  if (error instanceof RedisUnavailable || error instanceof RedisRefused) return error;
  if (!(error instanceof Error)) return new RedisUnavailable(String(error), 'unknown');
  if (error.name === 'ReplyError') {
    return passing.test(error.message)
      ? new RedisUnavailable(error.message, 'not done')
      : new RedisRefused(error.message);
  }
  if (error.message.includes('enableOfflineQueue')) {
    return new RedisUnavailable('no connection', 'not done');
  }
  const lost = error.name === 'MaxRetriesPerRequestError' || error.message.includes('is closed');
  return new RedisUnavailable(lost ? 'the connection was lost' : error.message, 'unknown');
}
