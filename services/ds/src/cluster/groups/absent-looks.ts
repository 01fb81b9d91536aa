import { epoch as epochOf, type GroupId, type NodeId } from '@lmqtt/common/ids';
import type { AbsentMembers, MemberOut, MemberState } from '../../group-store/absent-members.ts';
import type { ClusterGroupStore } from '../../group-store/cluster-group-store.ts';
import type { GroupOuts } from './group-outs.ts';
import type { OwnedMember } from './owned-member.ts';

export interface AbsentLooksPorts {
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  monotonicMs(): number;
  isAlive(ds: NodeId): boolean;
  /** True once the state of the members is known, and messages are given. */
  isGiving(): boolean;
  /** True while that ds has not told of its members. */
  isAwaited(ds: NodeId): boolean;
  givenUp(): void;
  failed(where: string, error: unknown): void;
  /** The store knows the group no more. */
  gone(): void;
}

/** Calls to whoever has the members. */
interface AbsentLooksCalls {
  /** The member is absent, and this is what it had sent. */
  settle(member: OwnedMember, outs: readonly MemberOut[]): Promise<void>;
  /** Sends the messages that can go out. */
  pump(): void;
}

/** When a member is to be looked at, and whether it is just now. */
interface Look {
  atMs: number;
  isUnderWay: boolean;
}

const lookMs = 500;
const lookSoonMs = 50;
const lookRarelyMs = 60_000;
/** Between the store and the join of a session that is presented to another ds. */
const presentingMs = 500;

/**
 * Members of an owned group that are not known to be connected, as the store has them: what they
 * had sent, and whether they are members at all. What an absent one has at QoS 1 is taken from it
 * while another is there; QoS 2 stays with it until its session ends.
 */
export class AbsentLooks {
  readonly #group: GroupId;
  readonly #outs: GroupOuts;
  readonly #ports: AbsentLooksPorts;
  readonly #calls: AbsentLooksCalls;
  readonly #looks = new WeakMap<OwnedMember, Look>();
  /** When the next of the looks that do not wait for their turn is due. */
  soonMs: number = Infinity;

  constructor(group: GroupId, outs: GroupOuts, ports: AbsentLooksPorts, calls: AbsentLooksCalls) {
    this.#group = group;
    this.#outs = outs;
    this.#ports = ports;
    this.#calls = calls;
  }

  tend(member: OwnedMember, nowMs: number): void {
    const look = this.#of(member);
    if (!look.isUnderWay && look.atMs <= nowMs) void this.#look(member, look);
  }

  soon(member: OwnedMember): void {
    const soonMs = this.#ports.monotonicMs() + lookSoonMs;
    const look = this.#of(member);
    look.atMs = Math.min(look.atMs, soonMs);
    this.soonMs = Math.min(this.soonMs, soonMs);
  }

  /** Each at once. */
  lookAtAll(): void {
    for (const member of this.#outs.shared.members.values()) this.#of(member).atMs = 0;
  }

  /** Another member may be there since. */
  takeBack(): void {
    for (const member of this.#outs.shared.members.values())
      if (this.#mayTakeFrom(member)) this.soon(member);
  }

  #of(member: OwnedMember): Look {
    let look = this.#looks.get(member);
    if (look === undefined) this.#looks.set(member, (look = { atMs: 0, isUnderWay: false }));
    return look;
  }

  /** State in the store of a member that is not connected, as far as is known. */
  async #look(member: OwnedMember, look: Look): Promise<void> {
    const ports = this.#ports;
    const outs = this.#outs;
    const group = this.#group;
    look.isUnderWay = true;
    const { key, epoch } = member;
    try {
      const state = await ports.absentMembers.look(key, group);
      if (!(await outs.refreshDone())) return;
      if (outs.shared.closed || member.home !== undefined || member.epoch !== epoch) return;
      const isMember = outs.progress.members.has(key);
      // The removal from a connected session may be on its way to the store.
      const isStored = state !== undefined && (state.connected || state.subscribed);
      if (isMember && isStored) await this.#seen(member, epoch, state);
      else {
        if (isMember && (await ports.groupStore.leave(group, key, epoch))) ports.gone();
        this.#remove(member, epoch);
      }
    } catch (error) {
      ports.failed('member of a shared group', error);
    } finally {
      look.isUnderWay = false;
      const isQuiet = !member.isInDoubt && !this.#mayTakeFrom(member);
      const againMs = ports.isGiving() ? lookMs : lookSoonMs;
      look.atMs = ports.monotonicMs() + (isQuiet ? lookRarelyMs : againMs);
    }
  }

  async #seen(member: OwnedMember, epoch: number, state: MemberState): Promise<void> {
    const ports = this.#ports;
    const { shared } = this.#outs;
    const isHere = (): boolean =>
      !shared.closed && member.home === undefined && member.epoch === epoch;
    if (state.connected) {
      this.#seenConnected(member, state);
      return;
    }
    if (member.isInDoubt) {
      member.absent(state.outs);
      await this.#calls.settle(member, state.outs);
    }
    if (!isHere() || !this.#mayTakeFrom(member)) return;
    const taken = state.outs.filter(({ qos }) => qos === 1);
    if (taken.length > 0) {
      const packetIds = taken.map(({ packetId }) => packetId);
      const { key } = member;
      if (!(await ports.absentMembers.takeOut(key, epochOf(state.epoch), packetIds))) return;
      for (const { partition, offset } of taken)
        if (shared.holderOf(partition, offset) === member) shared.lost(partition, offset);
    }
    if (isHere()) member.sent = state.outs.filter(({ qos }) => qos === 2);
    this.#calls.pump();
  }

  /** The member joins when it has been presented or claimed, or its cs is judged. */
  #seenConnected(member: OwnedMember, state: MemberState): void {
    const ports = this.#ports;
    if (!member.isInDoubt || state.home === undefined) return;
    this.#outs.restore(member, state.outs);
    // The member's home does not know it: unless it is just being presented there, it has joined
    // nothing.
    if (ports.isGiving() || ports.isAwaited(state.home) || !ports.isAlive(state.home)) return;
    const nowMs = ports.monotonicMs();
    member.unknown(nowMs, (sinceMs) => !state.subscribed || sinceMs + presentingMs <= nowMs);
  }

  /** Absent, with something at QoS 1 that another could have. */
  #mayTakeFrom(member: OwnedMember): boolean {
    if (member.home !== undefined || !member.sent.some(({ qos }) => qos === 1)) return false;
    for (const one of this.#outs.shared.members.values()) if (one.home !== undefined) return true;
    return false;
  }

  /**
   * The member's session is no more. Messages that it has at QoS 2 go to nobody else
   * [MQTT-4.8.2-5].
   */
  #remove(member: OwnedMember, epoch: number): void {
    const ports = this.#ports;
    const { shared } = this.#outs;
    if (member.home !== undefined || member.epoch !== epoch) return;
    shared.members.delete(member.key);
    for (const { qos, partition, offset } of member.sent) {
      if (qos !== 2 || shared.holderOf(partition, offset) !== member) continue;
      ports.givenUp();
      this.#outs.done([{ partition, offset }], false);
    }
    this.#outs.lose(member);
    this.#calls.pump();
  }
}
