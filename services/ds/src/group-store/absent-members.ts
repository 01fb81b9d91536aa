import type { ClientId, Epoch, GroupId, NodeId } from '@lmqtt/common/ids';

/** Message that a member has sent and not completed. */
export interface MemberOut {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly partition: number;
  readonly offset: number;
}

/** A member as its stored session says. */
export interface MemberState {
  readonly epoch: Epoch;
  readonly connected: boolean;
  /** The ds where it is or was connected. */
  readonly home: NodeId | undefined;
  /**
   * True for a member stored with a subscription of the group; a session that ends with its
   * connection may have one.
   */
  readonly subscribed: boolean;
  readonly outs: readonly MemberOut[];
}

/**
 * Sessions of group members, for the ds that owns the group and not the session.
 *
 * Promises
 * - `look` answers what is stored now; undefined: there is no such session.
 * - `takeOut` removes what was sent from a session that is not connected and still has that epoch;
 *   false: nothing was removed. Durable when it resolves.
 * - Both reject within a bounded time where the store does not answer.
 */
export interface AbsentMembers {
  look(member: ClientId, group: GroupId): Promise<MemberState | undefined>;
  takeOut(member: ClientId, epoch: Epoch, packetIds: readonly number[]): Promise<boolean>;
}
