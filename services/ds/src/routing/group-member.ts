import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import type { StoredGroup } from '../group-store/group-store.ts';
import type { Outlet } from './outlet.ts';

/** Destination of a member's messages, the number that it was given and the maximum. */
export interface Seat {
  given: number;
  readonly givenMax: number;
  readonly handle: SessionHandle;
  readonly node: Outlet;
  /** The last fence before it, where the owner has an epoch. */
  readonly fence?: number;
}

/** A session in a group. */
export interface GroupMember<Key> {
  readonly key: Key;
  readonly clientId: ClientId;
  /** Filter of the subscription as the client sent it. */
  readonly filter: string;
  /** undefined: nothing can be given to it now. */
  readonly seat: Seat | undefined;
  /**
   * Rights of the member to read, those of an absent one as far as they are known; undefined:
   * everything.
   */
  readonly rights: ReadRights | undefined;
  inFlight: number;
}

/** A message that the last of many members had when it went. */
export interface LostMessage {
  readonly clientId: ClientId;
  readonly filter: string;
  readonly partition: number;
  readonly offset: number;
  readonly tries: number;
}

/** Calls of a group on what it reads, and on those that keep its state. */
export interface GroupPorts {
  read(request: ReadRequest): Promise<ReadAnswer>;
  /** The messages assigned in this call go out. */
  flush(): void;
  failed(group: StoredGroup, error: unknown): void;
  /** Passes over a message that does not match the group's filter, or that no member may read. */
  skip(group: StoredGroup, partition: number, offset: number): void;
  readonly readMessages: number;
  /** Partitions of all queues, as far as is known. */
  partitions?(): readonly number[];
  /** False: nothing is to be given out now. */
  mayGive?(): boolean;
  readonly retryIntervalMs: number;
  /** Number of members that may lose a message before it is given up. */
  readonly triesMax: number;
  /** Keeps a message that its members have lost so often, and passes over it. */
  giveUp(group: StoredGroup, lost: LostMessage): void;
}
