import type { RetryQueue } from '@lmqtt/ds/retry-queue/retry-queue';

/** For tests of what never comes to dead letters. */
export const noRetries: RetryQueue = {
  put: () => Promise.resolve(),
  take: () => Promise.resolve([]),
  acknowledge: () => Promise.resolve(),
  deadLetter: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  find: () => Promise.resolve(undefined),
  replay: () => Promise.resolve(0),
  purge: () => Promise.resolve(0),
};
