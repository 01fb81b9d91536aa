import type { NodeId } from '@lmqtt/common/ids';

export interface Owned {
  readonly owner: NodeId;
  /** Grows with each change of owner. */
  readonly epoch: number;
}

/**
 * Owners of work that only one ds may do at a time: a tail, a group, the timers.
 *
 * Promises
 * - A thing has one owner, for as long as that ds's lease; another may have it when that was judged
 *   or it was released. `acquire` answers the owner after the call, which may be another.
 * - `save` keeps a small text for a thing, refused (false) unless the caller owns it with that
 *   epoch; an empty one is none. Saves of one turn are one request. `load` reads it, whoever owns
 *   the thing.
 * - Calls reject within a bounded time where the registry does not answer.
 */
export interface Ownership {
  acquire(things: readonly string[]): Promise<Owned[]>;
  release(things: readonly string[]): Promise<void>;
  save(thing: string, epoch: number, text: string): Promise<boolean>;
  load(things: readonly string[]): Promise<(string | undefined)[]>;
}
