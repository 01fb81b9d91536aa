import type { Ban, BanKind } from './ban.ts';
import type { BanList } from './ban-list.ts';

export type BanPut =
  | 'put'
  /** There is a ban of the same kind and name, which stays as it is. */
  | 'kept'
  /** There are as many bans as the limit allows. */
  | 'full';

export type BanMode =
  /** For bans that somebody wants. */
  | 'replace'
  /** For bans that come by themselves: they leave room for others. */
  | 'keep';

export function roomFor(mode: BanMode, bansMax: number): number {
  return mode === 'keep' ? Math.ceil(bansMax / 2) : bansMax;
}

/**
 * Bans of client identifiers, users and addresses.
 *
 * Promises
 * - list: the bans as this ds knows them, in memory; all that were stored, once the store is open.
 * - put: the ban is durable and in the list when it resolves. One of the same kind and name is
 *   replaced; with `mode` `keep` it stays where it has not ended. A ban that replaces none is not
 *   put where the limit of their number is reached, with `keep` where half of it is; bans that have
 *   ended do not count.
 * - remove: the same; false: there was none in force.
 * - refresh: brings the list up to what any node has put or removed before the call.
 * - onBanned: called for each ban that comes into the list after it was opened, whoever put it.
 * - nowMs: the clock by which bans end, the same for all nodes.
 * - put, remove and refresh reject with StoreFailure where the store cannot serve; the list stays.
 */
export interface BanStore {
  readonly list: BanList;
  nowMs(): number;
  put(ban: Ban, mode: BanMode): Promise<BanPut>;
  remove(kind: BanKind, who: string): Promise<boolean>;
  refresh(): Promise<void>;
  onBanned(listener: (ban: Ban) => void): void;
}
