import type { Cursor } from '@lmqtt/common/cursor';
import type { ClientId, GroupId, QueueId } from '@lmqtt/common/ids';

/** A group as the store has it. */
interface ClusterGroup {
  readonly id: GroupId;
  /** `{group}/{filter}` */
  readonly name: string;
  readonly queue: QueueId;
  /** Positions from which it began. */
  readonly cursors: Cursor[];
}

export interface LoadedGroup extends ClusterGroup {
  /** By client, with the epoch of the claim by which it entered last. */
  readonly members: ReadonlyMap<ClientId, number>;
  /** Messages that count as done, wherever the group's position is. */
  readonly done: GroupPlace[];
}

export interface GroupPlace {
  readonly partition: number;
  readonly offset: number;
}

/** `absent`: there is no such group, on that queue. */
export type Entered =
  | { readonly kind: 'absent' }
  | { readonly kind: 'entered'; readonly group: ClusterGroup; readonly made: boolean };

export interface Entry {
  readonly name: string;
  readonly queue: QueueId;
  readonly member: ClientId;
  readonly epoch: number;
  /** A group that is not there is made with these; undefined: it is not. */
  readonly cursors: readonly Cursor[] | undefined;
}

/** Name of a group as a thing that is owned; its progress is the text of the thing. */
export function groupThing(group: GroupId): string {
  return `group ${group}`;
}

/**
 * Shared groups of a cluster: which there are, who is a member, what of them is done.
 *
 * Promises
 * - A group is there from its first `enter` until its last member has left; a name has one group at
 *   a time. Identifiers grow, and none is given twice, also where the store was emptied.
 * - `leave` takes a member that entered by that epoch or an earlier one. True: it was the last, and
 *   the group is no more.
 * - `done` keeps places until `forget`; calls of one turn are one request, sent in that turn before
 *   what is sent on the same connection later, and again until it is stored. Nothing is kept for a
 *   group that is no more.
 * - `load` answers undefined where the group is no more.
 * - What returns a promise rejects within a bounded time where the store does not answer; that may
 *   have taken effect then, and may be asked for again.
 */
export interface ClusterGroupStore {
  enter(entry: Entry): Promise<Entered>;
  leave(group: GroupId, member: ClientId, epoch: number): Promise<boolean>;
  load(group: GroupId): Promise<LoadedGroup | undefined>;
  done(group: GroupId, places: readonly GroupPlace[]): void;
  /** All that `done` was told is stored; undefined: it is. Never rejects. */
  settled(): Promise<void> | undefined;
  /** The group's stored position says so by now. */
  forget(group: GroupId, places: readonly GroupPlace[]): Promise<void>;
  close(): void;
}
