import type { ClientId, GroupId, NodeId, QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { LiveSession } from '../../sessions/live-session.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import type { GroupItem } from './messages.ts';

/** A connected member that lives here. */
export interface HomeMember {
  readonly session: LiveSession;
  readonly group: HomeGroup;
  readonly filter: string;
  /** Nobody has given it anything on this connection. */
  fresh: boolean;
  /** Stored messages of the group that it has gone on with on this connection. */
  consumed: number;
  /** Number of those before the owner began to count. */
  countedFrom: number;
}

/** A connected session with groups. Its cs counts over all of them. */
export class HomeSession {
  readonly members: Map<GroupId, HomeMember> = new Map();
  /** Groups that it has been in on this connection. */
  readonly joined: Set<GroupId> = new Set();
  consumed = 0;
  /** How many can be in flight; undefined: it has not said. */
  #window: number | undefined = undefined;

  credited(session: LiveSession, messagesTotal: number): void {
    if (messagesTotal > session.givenMax) session.givenMax = messagesTotal;
    this.#window ??= messagesTotal + session.stored.outboundCount;
  }

  /** How many it may have been given by the group's owner. A window for each of its groups. */
  creditOf(member: HomeMember): number {
    if (this.#window === undefined) return 0;
    const room = Math.min(member.session.givenMax - this.consumed, this.#window);
    return member.consumed - member.countedFrom + Math.max(room, 0);
  }
}

const pendingMax = 10_000;

/** A group as it is known at a ds, with the members that live there. */
export class HomeGroup {
  readonly id: GroupId;
  /** `{group}/{filter}` */
  readonly name: string;
  readonly queue: QueueId;
  readonly members: Map<ClientId, HomeMember> = new Map();
  owner: NodeId | undefined = undefined;
  ownerEpoch = 0;
  /** Subscribes under way. */
  pins = 0;
  /** For the owner, while that is not known. */
  #pending: GroupItem[] = [];

  constructor(id: GroupId, name: string, queue: QueueId) {
    this.id = id;
    this.name = name;
    this.queue = queue;
  }

  keep(item: GroupItem): void {
    if (this.#pending.length < pendingMax) this.#pending.push(item);
  }

  takePending(): GroupItem[] {
    return this.#pending.splice(0);
  }

  /**
   * Gives a message that is not stored to a member here that may read it. False: no such member.
   */
  give(message: Message, rights: SessionRights): boolean {
    for (const [client, { session, filter }] of this.members) {
      if (session.closing || rights.of(session)?.allows(message.topic) === false) continue;
      session.node.assign({
        session: session.handle,
        group: this.id,
        filter,
        queue: this.queue,
        partition: 0,
        offset: -1,
        message,
        epoch: this.ownerEpoch,
      });
      // Members take turns.
      const member = this.members.get(client)!;
      this.members.delete(client);
      this.members.set(client, member);
      return true;
    }
    return false;
  }
}

/** Messages of a group that a session has sent and not completed. */
export function outsOf(session: LiveSession['stored'], group: GroupId): MemberOut[] {
  const outs: MemberOut[] = [];
  for (const { packetId, qos, place } of session.outbound) {
    if (place.kind !== 'group' || place.group !== group) continue;
    outs.push({ packetId, qos, partition: place.partition, offset: place.offset });
  }
  return outs;
}
