import type { RedisKeys } from '../../redis/keys.ts';

/** The keys of the retained messages, all under one hash tag; the scripts say what is in them. */
export interface RetainedKeys {
  readonly records: string;
  readonly topics: string;
  readonly gone: string;
  readonly expiring: string;
  readonly replaced: string;
  readonly kept: string;
  readonly pins: string;
  readonly pinned: string;
  readonly figures: string;
}

export function retainedKeys(keys: RedisKeys): RetainedKeys {
  return {
    records: keys.retained('records'),
    topics: keys.retained('topics'),
    gone: keys.retained('gone'),
    expiring: keys.retained('expiring'),
    replaced: keys.retained('replaced'),
    kept: keys.retained('kept'),
    pins: keys.retained('pins'),
    pinned: keys.retained('pinned'),
    figures: keys.retained('figures'),
  };
}

/** How long a version can be read after it was replaced. */
export const replacedKeptMs = 60_000;
/** The same while it is pinned: longer than any node that pinned it and died is missed. */
export const pinnedKeptMs: number = 7 * 24 * 3_600_000;
/** How long the order key of a topic without a message is known. */
export const goneKeptMs = 600_000;
