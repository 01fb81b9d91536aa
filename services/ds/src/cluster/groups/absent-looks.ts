import { epoch as epochOf, type GroupId, type NodeId } from '@lmqtt/common/ids';
import type { AbsentMembers, MemberOut, MemberState } from '../../group-store/absent-members.ts';
import type { ClusterGroupStore } from '../../group-store/cluster-group-store.ts';
import type { GroupOuts } from './group-outs.ts';
import type { OwnedMember } from './owned-member.ts';

interface AbsentLooksPorts {
  readonly group: GroupId;
  readonly outs: GroupOuts;
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  monotonicMs(): number;
  isAlive(ds: NodeId): boolean;
  /** True once the state of the members is known, and messages are given. */
  isGiving(): boolean;
  /** True while that ds has not told of its members. */
  isAwaited(ds: NodeId): boolean;
  /** The member is absent, and this is what it had sent. */
  settle(member: OwnedMember, outs: readonly MemberOut[]): Promise<void>;
  /** Sends the messages that can go out. */
  pump(): void;
  givenUp(): void;
  failed(where: string, error: unknown): void;
  /** The store knows the group no more. */
  gone(): void;
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
  readonly #ports: AbsentLooksPorts;
  /** When the next of the looks that do not wait for their turn is due. */
  soonMs: number = Infinity;

  constructor(ports: AbsentLooksPorts) {
    this.#ports = ports;
  }

  tend(member: OwnedMember, nowMs: number): void {
    if (!member.looking && member.lookAtMs <= nowMs) void this.#look(member);
  }

  soon(member: OwnedMember): void {
    const soonMs = this.#ports.monotonicMs() + lookSoonMs;
    member.lookAtMs = Math.min(member.lookAtMs, soonMs);
    this.soonMs = Math.min(this.soonMs, soonMs);
  }

  /** Another member may be there since. */
  takeBack(): void {
    for (const member of this.#ports.outs.shared.members.values())
      if (this.#mayTakeFrom(member)) this.soon(member);
  }

  /** State in the store of a member that is not connected, as far as is known. */
  async #look(member: OwnedMember): Promise<void> {
    const ports = this.#ports;
    const { group, outs } = ports;
    member.looking = true;
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
      member.looking = false;
      const isQuiet = !member.inDoubt && !this.#mayTakeFrom(member);
      const againMs = ports.isGiving() ? lookMs : lookSoonMs;
      member.lookAtMs = ports.monotonicMs() + (isQuiet ? lookRarelyMs : againMs);
    }
  }

  async #seen(member: OwnedMember, epoch: number, state: MemberState): Promise<void> {
    const ports = this.#ports;
    const { shared } = ports.outs;
    const isHere = (): boolean =>
      !shared.closed && member.home === undefined && member.epoch === epoch;
    if (state.connected) {
      this.#seenConnected(member, state);
      return;
    }
    if (member.inDoubt) {
      member.absent(state.outs);
      await ports.settle(member, state.outs);
    }
    if (!isHere() || !this.#mayTakeFrom(member)) return;
    const taken = state.outs.filter(({ qos }) => qos === 1);
    if (taken.length > 0) {
      const packetIds = taken.map(({ packetId }) => packetId);
      const { key } = member;
      if (!(await ports.absentMembers.takeOut(key, epochOf(state.epoch), packetIds))) return;
      for (const { partition, offset } of taken)
        if (shared.holderOf(partition, offset) === member) shared.takeBack(partition, offset);
    }
    if (isHere()) member.sent = state.outs.filter(({ qos }) => qos === 2);
    ports.pump();
  }

  /** It joins when it has been presented or claimed, or its cs is judged. */
  #seenConnected(member: OwnedMember, state: MemberState): void {
    const ports = this.#ports;
    if (!member.inDoubt || state.home === undefined) return;
    ports.outs.restore(member, state.outs);
    // Its home does not know it: unless it is just being presented there, it has joined nothing.
    if (ports.isGiving() || ports.isAwaited(state.home) || !ports.isAlive(state.home)) return;
    const nowMs = ports.monotonicMs();
    member.unknownSinceMs ??= nowMs;
    if (!state.subscribed || member.unknownSinceMs + presentingMs <= nowMs) member.inDoubt = false;
  }

  /** Absent, with something at QoS 1 that another could have. */
  #mayTakeFrom(member: OwnedMember): boolean {
    if (member.home !== undefined || !member.sent.some(({ qos }) => qos === 1)) return false;
    for (const one of this.#ports.outs.shared.members.values())
      if (one.home !== undefined) return true;
    return false;
  }

  /** Its session is no more. What it has at QoS 2 goes to nobody else [MQTT-4.8.2-5]. */
  #remove(member: OwnedMember, epoch: number): void {
    const ports = this.#ports;
    const { shared } = ports.outs;
    if (member.home !== undefined || member.epoch !== epoch) return;
    shared.members.delete(member.key);
    for (const { qos, partition, offset } of member.sent) {
      if (qos !== 2 || shared.holderOf(partition, offset) !== member) continue;
      ports.givenUp();
      ports.outs.done([{ partition, offset }], false);
    }
    for (const { partition, offset } of shared.outOf(member)) shared.takeBack(partition, offset);
    ports.pump();
  }
}
