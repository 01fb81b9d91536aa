import { cursorsOf } from '@lmqtt/common/cursor-text';
import { type ClientId, epoch as epochOf, type GroupId, type NodeId } from '@lmqtt/common/ids';
import { type Message, messageOf, type QueueEntry } from '@lmqtt/common/message';
import { fencePartition } from '@lmqtt/proto/link';
import type { AbsentMembers, MemberOut, MemberState } from '../group-store/absent-members.ts';
import {
  type ClusterGroupStore,
  type GroupPlace,
  groupThing,
  type LoadedGroup,
} from '../group-store/cluster-group-store.ts';
import type { StoredGroup } from '../group-store/group-store.ts';
import type { Outlet } from '../outlet.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Ownership } from '../registry/ownership.ts';
import { SharedGroup } from '../shared-group.ts';
import { GroupProgress } from './group-progress.ts';
import type { GroupItem, Join } from './messages.ts';
import { noFence, OwnedMember } from './owned-member.ts';

export interface OwnedGroupPorts {
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  readonly ownership: Ownership;
  readonly queueStore: QueueStore;
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly readMessages: number;
  monotonicMs(): number;
  /** This ds has its lease. */
  mayGive(): boolean;
  /** All ds that may have members, but this one. */
  otherDs(): Promise<NodeId[]>;
  isAlive(ds: NodeId): boolean;
  announce(group: OwnedGroup, ds: readonly NodeId[]): void;
  /** What was assigned goes out. */
  flush(): void;
  readFailed(group: StoredGroup, error: unknown): void;
  givenUp(group: StoredGroup): void;
  failed(where: string, error: unknown): void;
  /** The group is no more, or another owns it. */
  over(group: OwnedGroup, isGone: boolean): void;
}

const retryMs = 500;
const announceMs = 1000;
const refenceMs = 1000;
const lookMs = 500;
const lookSoonMs = 50;
/** Between the store and the join of a session that is presented to another ds. */
const presentingMs = 500;
const lookRarelyMs = 60_000;
const emptyLookMs = 5000;
const tendMs = 500;
const pollMsMin = 100;
const pollMsMax = 2000;
/** A cs that does not answer does not hold up the others for longer. */
const gatherMsMax = 15_000;

/**
 * A group that this ds owns, by one epoch of ownership. Nothing is given out before it is known
 * what members have: from where they live, by a fence that their cs answers, or from the store where
 * they are absent. What was given to a member goes to another only when that one cannot send it any
 * more, and it is not done.
 */
export class OwnedGroup {
  readonly id: GroupId;
  readonly epoch: number;
  /** All ds know of it. */
  readonly announced: Promise<void>;
  #isAnnounced: () => void = () => {};
  #progress: GroupProgress | undefined;
  #shared: SharedGroup<ClientId, OwnedMember> | undefined;
  readonly #ports: OwnedGroupPorts;
  /** Those that have not told of their members. */
  #awaited = new Set<NodeId>();
  #announcedMs = 0;
  readonly #sinceMs: number;
  #starting = false;
  #giving = false;
  #closed = false;
  /** Numbers all of this epoch. */
  #lastFence = noFence;
  #emptySinceMs = 0;
  #tendAtMs = 0;
  #pollAtMs = 0;
  #pollEachMs = pollMsMin;
  /** How far it had been read, at the last poll. */
  #polledTo = -1;
  /** Before it was loaded. */
  #early: { readonly from: NodeId; readonly item: GroupItem }[] = [];

  constructor(id: GroupId, epoch: number, ports: OwnedGroupPorts) {
    this.id = id;
    this.epoch = epoch;
    this.#ports = ports;
    this.#sinceMs = ports.monotonicMs();
    this.announced = new Promise((resolve) => {
      this.#isAnnounced = resolve;
    });
    void this.#open();
  }

  get stored(): StoredGroup | undefined {
    return this.#shared?.stored;
  }

  get isGiving(): boolean {
    return this.#giving;
  }

  give(message: Message): void {
    this.#shared?.give(message);
  }

  arrived(entry: QueueEntry, message: Message): void {
    this.#shared?.arrived(entry, message);
  }

  /** Something has arrived at another ds. */
  look(partition: number): void {
    this.#shared?.look(partition);
    this.#pollEachMs = pollMsMin;
  }

  /** From a timer: what nobody has told of is found, the later the longer there was nothing. */
  poll(): void {
    const shared = this.#shared;
    const nowMs = this.#ports.monotonicMs();
    if (!this.#giving || shared === undefined || this.#pollAtMs > nowMs) return;
    const readTo = shared.nexts.reduce((sum, { next }) => sum + next, 0);
    this.#pollEachMs =
      readTo === this.#polledTo ? Math.min(2 * this.#pollEachMs, pollMsMax) : pollMsMin;
    this.#polledTo = readTo;
    this.#pollAtMs = nowMs + this.#pollEachMs;
    for (const { partition } of shared.stored.cursors) shared.look(partition);
    shared.pump();
  }

  pump(): void {
    this.#shared?.pump();
  }

  take(from: NodeId, item: GroupItem): void {
    const shared = this.#shared;
    if (shared === undefined) {
      this.#early.push({ from, item });
      return;
    }
    switch (item.kind) {
      case 'join':
        this.#join(shared, from, item);
        break;
      case 'left': {
        const member = shared.members.get(item.client);
        // Where it lives may have changed since.
        if (member?.home === from && member.epoch === item.epoch) this.#left(member, item.outs);
        break;
      }
      case 'leave': {
        this.#done(item.places, true);
        const member = shared.members.get(item.client);
        if (member === undefined || member.epoch > item.epoch) break;
        shared.members.delete(item.client);
        for (const out of shared.outOf(member)) shared.takeBack(out.partition, out.offset);
        break;
      }
      case 'done':
        this.#done(item.places, item.marked);
        break;
      case 'credit': {
        const member = shared.members.get(item.client);
        if (member?.home === from && member.epoch === item.epoch) member.credit(item.total);
        break;
      }
      case 'fenced': {
        const member = shared.members.get(item.client);
        if (member?.epoch !== item.epoch || member.fence !== item.fence) break;
        // Its cs knows where it lives.
        member.home = from;
        void this.#fenced(member, item.credit, item.outs);
        break;
      }
      case 'here':
        if (item.ownerEpoch !== this.epoch || !this.#awaited.delete(from)) break;
        for (const member of shared.members.values()) member.lookAtMs = 0;
        break;
      case 'gone':
        this.close(true);
        break;
      default:
        break;
    }
  }

  /** That ds begins anew with what it says; `begun` when it has said all. */
  beginning(from: NodeId): void {
    for (const member of this.#members) if (member.home === from) member.stale = true;
  }

  begun(from: NodeId): void {
    for (const member of this.#members)
      if (member.home === from && member.stale) this.#doubt(member);
  }

  dsEnded(ds: NodeId): void {
    this.#awaited.delete(ds);
    for (const member of this.#members) if (member.home === ds) this.#doubt(member);
  }

  /** From a timer. */
  tick(): void {
    if (this.#closed || this.#shared === undefined) return;
    const nowMs = this.#ports.monotonicMs();
    if (!this.#giving || this.#tendAtMs <= nowMs) {
      this.#tendAtMs = nowMs + tendMs;
      for (const member of this.#members) this.#tend(member, nowMs);
    }
    if (!this.#giving) this.#gather(nowMs);
    if (this.#progress!.isDue(nowMs)) void this.save();
    if (this.#shared.members.size > 0) this.#emptySinceMs = 0;
    else if (this.#emptySinceMs === 0) this.#emptySinceMs = nowMs;
    else if (this.#emptySinceMs + emptyLookMs <= nowMs) {
      this.#emptySinceMs = nowMs;
      void this.#lookForMembers();
    }
  }

  /** How far it has come, for whoever owns it next. */
  async save(): Promise<void> {
    if ((await this.#progress?.save()) === false) this.close(false);
  }

  close(isGone: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#giving = false;
    if (this.#shared !== undefined) this.#shared.closed = true;
    this.#isAnnounced();
    this.#ports.over(this, isGone);
  }

  get #members(): Iterable<OwnedMember> {
    return this.#shared?.members.values() ?? [];
  }

  async #open(): Promise<void> {
    const { groupStore, ownership } = this.#ports;
    for (;;) {
      if (this.#closed) return;
      try {
        const [record, texts, others] = await Promise.all([
          groupStore.load(this.id),
          ownership.load([groupThing(this.id)]),
          this.#ports.otherDs(),
        ]);
        if (this.#closed) return;
        if (record === undefined) {
          this.close(true);
          return;
        }
        this.#begin(record, texts[0], others);
        return;
      } catch (error) {
        this.#ports.failed('shared group', error);
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
    }
  }

  #begin(record: LoadedGroup, text: string | undefined, others: NodeId[]): void {
    const { id, name, queue } = record;
    const cursors = text === undefined ? record.cursors : cursorsOf(text);
    const stored: StoredGroup = { id, name, queue, cursors };
    const ports = this.#ports;
    this.#progress = new GroupProgress(record, this.epoch, cursors, ports);
    this.#shared = new SharedGroup<ClientId, OwnedMember>(
      stored,
      name.slice(name.indexOf('/') + 1),
      {
        read: (request) => ports.queueStore.read(request),
        flush: () => ports.flush(),
        failed: (group, error) => ports.readFailed(group, error),
        skip: (_group, partition, offset) => this.#done([{ partition, offset }], false),
        readMessages: ports.readMessages,
        mayGive: () => this.#giving && ports.mayGive(),
      },
      this.epoch,
    );
    this.#done(record.done, true);
    for (const [client, epoch] of record.members) {
      const member = new OwnedMember(client, epoch);
      member.inDoubt = true;
      this.#shared.members.set(client, member);
    }
    this.#awaited = new Set(others);
    const early = this.#early.splice(0);
    for (const { from, item } of early) this.take(from, item);
    this.tick();
  }

  /** Before the first message is given. */
  #gather(nowMs: number): void {
    if (this.#awaited.size > 0) {
      if (this.#announcedMs + announceMs > nowMs && this.#announcedMs > 0) return;
      this.#announcedMs = nowMs;
      for (const ds of [...this.#awaited])
        if (!this.#ports.isAlive(ds) && this.#sinceMs + announceMs < nowMs)
          this.#awaited.delete(ds);
      this.#ports.announce(this, [...this.#awaited]);
      return;
    }
    this.#isAnnounced();
    if (this.#isGathered && !this.#starting) void this.#startGiving();
  }

  /** It is known what members have. */
  get #isGathered(): boolean {
    const isLate = this.#sinceMs + gatherMsMax < this.#ports.monotonicMs();
    if (this.#awaited.size > 0) return false;
    for (const member of this.#members)
      if (member.inDoubt || (member.unfenced && !isLate)) return false;
    return true;
  }

  async #startGiving(): Promise<void> {
    this.#starting = true;
    const isRead = await this.#refreshDone();
    this.#starting = false;
    if (!isRead || this.#closed || !this.#isGathered) return;
    this.#giving = true;
    this.#shared!.start();
    this.#takeFromAbsent();
    this.#shared!.pump();
    this.#ports.flush();
  }

  #join(shared: SharedGroup<ClientId, OwnedMember>, from: NodeId, join: Join): void {
    let member = shared.members.get(join.client);
    if (member !== undefined && member.epoch > join.epoch) return;
    if (member === undefined) {
      member = new OwnedMember(join.client, join.epoch);
      shared.members.set(join.client, member);
    }
    member.joined(from, join);
    member.fencedAtMs = this.#ports.monotonicMs();
    const outlet = this.#ports.outlets.get(join.cs);
    if (!join.fresh || outlet === undefined) {
      this.#restoreOuts(shared, member, join.outs);
      if (outlet !== undefined) this.#fence(member, outlet);
      return;
    }
    void this.#settleOuts(member, join.outs, () => member.sit(outlet, join.credit));
  }

  /** The cs is to say what of that which it was given has gone out. */
  #fence(member: OwnedMember, outlet: Outlet): void {
    this.#lastFence += 1;
    const fence = this.#lastFence;
    const handle = member.fenceBy(outlet, fence);
    member.fencedAtMs = this.#ports.monotonicMs();
    const { id, epoch } = this;
    outlet.assign({
      session: handle,
      group: id,
      filter: member.filter,
      queue: this.stored!.queue,
      partition: fencePartition + fence,
      offset: -1,
      message: messageOf({ topic: '', qos: 0, retain: false, payload: Buffer.alloc(0) }),
      epoch,
    });
    this.#ports.flush();
  }

  async #fenced(member: OwnedMember, credit: number, outs: readonly MemberOut[]): Promise<void> {
    const outlet = member.fencedBy!;
    await this.#settleOuts(member, outs, () => member.sit(outlet, credit));
  }

  /**
   * It has exactly these: whatever else it was given goes to others, unless it is done. Then `next`,
   * unless something else was heard of it.
   */
  async #settleOuts(
    member: OwnedMember,
    outs: readonly MemberOut[],
    next: () => void,
  ): Promise<void> {
    const shared = this.#shared!;
    const { home, epoch, fence } = member;
    this.#restoreOuts(shared, member, outs);
    const known = new Set(outs.map(({ partition, offset }) => `${partition} ${offset}`));
    const isOpen = (one: GroupPlace): boolean => !known.has(`${one.partition} ${one.offset}`);
    if (shared.outOf(member).some(isOpen)) {
      while (!(await this.#refreshDone())) {
        if (this.#closed) return;
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
      if (this.#closed || member.home !== home || member.epoch !== epoch) return;
      if (member.fence !== fence || shared.members.get(member.key) !== member) return;
      for (const out of shared.outOf(member))
        if (isOpen(out)) shared.takeBack(out.partition, out.offset);
    }
    next();
    this.#takeFromAbsent();
    shared.pump();
    this.#ports.flush();
  }

  #restoreOuts(
    shared: SharedGroup<ClientId, OwnedMember>,
    member: OwnedMember,
    outs: readonly MemberOut[],
  ): void {
    for (const { partition, offset } of outs) {
      const holder = shared.holderOf(partition, offset);
      if (holder === member) continue;
      if (this.#progress!.isDone({ partition, offset })) continue;
      if (holder !== undefined) shared.settle(partition, offset);
      shared.restoreOut(member, partition, offset);
    }
  }

  /** Its connection ended, and this is what it had sent. */
  #left(member: OwnedMember, outs: readonly MemberOut[]): void {
    member.absent(outs);
    this.#lookSoon(member);
    void this.#settleOuts(member, outs, () => {});
  }

  #doubt(member: OwnedMember): void {
    member.doubt();
    this.#lookSoon(member);
  }

  #tend(member: OwnedMember, nowMs: number): void {
    if (member.home !== undefined) {
      const outlet = this.#ports.outlets.get(member.cs!);
      const isReached = member.reach(outlet);
      if (outlet === undefined) return;
      const isDue = member.unfenced && member.fencedAtMs + refenceMs <= nowMs;
      const isOther = member.fence !== 0 && member.fencedBy !== outlet;
      if (!isReached || isDue || isOther) this.#fence(member, outlet);
      return;
    }
    if (!member.looking && member.lookAtMs <= nowMs) void this.#look(member);
  }

  /** What the store says of a member that is not connected, as far as is known. */
  async #look(member: OwnedMember): Promise<void> {
    const { groupStore, absentMembers } = this.#ports;
    member.looking = true;
    const { key, epoch } = member;
    try {
      const state = await absentMembers.look(key, this.id);
      if (!(await this.#refreshDone())) return;
      if (this.#closed || member.home !== undefined || member.epoch !== epoch) return;
      const isMember = this.#progress!.members.has(key);
      // Of one that is connected it may be on its way to the store.
      const isStored = state !== undefined && (state.connected || state.subscribed);
      if (isMember && isStored) await this.#seen(member, epoch, state);
      else {
        if (isMember && (await groupStore.leave(this.id, key, epoch))) this.close(true);
        this.#remove(member, epoch);
      }
    } catch (error) {
      this.#ports.failed('member of a shared group', error);
    } finally {
      member.looking = false;
      const isQuiet = !member.inDoubt && !this.#mayTakeFrom(member);
      const againMs = this.#giving ? lookMs : lookSoonMs;
      member.lookAtMs = this.#ports.monotonicMs() + (isQuiet ? lookRarelyMs : againMs);
    }
  }

  async #seen(member: OwnedMember, epoch: number, state: MemberState): Promise<void> {
    const shared = this.#shared!;
    const isHere = (): boolean =>
      !this.#closed && member.home === undefined && member.epoch === epoch;
    if (state.connected) {
      // It joins when it has been presented or claimed, or its cs is judged.
      if (!member.inDoubt || state.home === undefined) return;
      this.#restoreOuts(shared, member, state.outs);
      // Its home does not know it: unless it is just being presented there, it has joined nothing.
      if (this.#giving || this.#awaited.has(state.home) || !this.#ports.isAlive(state.home)) return;
      const nowMs = this.#ports.monotonicMs();
      member.unknownSinceMs ??= nowMs;
      if (!state.subscribed || member.unknownSinceMs + presentingMs <= nowMs)
        member.inDoubt = false;
      return;
    }
    if (member.inDoubt) {
      member.absent(state.outs);
      await this.#settleOuts(member, state.outs, () => {});
    }
    if (!isHere() || !this.#mayTakeFrom(member)) return;
    const taken = state.outs.filter(({ qos }) => qos === 1);
    if (taken.length > 0) {
      const packetIds = taken.map(({ packetId }) => packetId);
      const { key } = member;
      if (!(await this.#ports.absentMembers.takeOut(key, epochOf(state.epoch), packetIds))) return;
      for (const { partition, offset } of taken)
        if (shared.holderOf(partition, offset) === member) shared.takeBack(partition, offset);
    }
    if (isHere()) member.sent = state.outs.filter(({ qos }) => qos === 2);
    shared.pump();
    this.#ports.flush();
  }

  /** Absent, with something at QoS 1 that another could have. */
  #mayTakeFrom(member: OwnedMember): boolean {
    if (member.home !== undefined || !member.sent.some(({ qos }) => qos === 1)) return false;
    for (const one of this.#members) if (one.home !== undefined) return true;
    return false;
  }

  #takeFromAbsent(): void {
    for (const member of this.#members) if (this.#mayTakeFrom(member)) this.#lookSoon(member);
  }

  #lookSoon(member: OwnedMember): void {
    const soonMs = this.#ports.monotonicMs() + lookSoonMs;
    member.lookAtMs = Math.min(member.lookAtMs, soonMs);
    this.#tendAtMs = Math.min(this.#tendAtMs, soonMs);
  }

  /** Its session is no more. What it has at QoS 2 goes to nobody else [MQTT-4.8.2-5]. */
  #remove(member: OwnedMember, epoch: number): void {
    const shared = this.#shared!;
    if (member.home !== undefined || member.epoch !== epoch) return;
    shared.members.delete(member.key);
    for (const { qos, partition, offset } of member.sent) {
      if (qos !== 2 || shared.holderOf(partition, offset) !== member) continue;
      this.#ports.givenUp(shared.stored);
      this.#done([{ partition, offset }], false);
    }
    for (const { partition, offset } of shared.outOf(member)) shared.takeBack(partition, offset);
    shared.pump();
    this.#ports.flush();
  }

  #done(places: readonly GroupPlace[], isMarked: boolean): void {
    for (const place of places) {
      if (place.offset < 0) continue;
      this.#shared!.settle(place.partition, place.offset);
      this.#progress!.done(place, isMarked);
    }
  }

  /** False: the store does not answer. */
  async #refreshDone(): Promise<boolean> {
    const read = await this.#progress!.read();
    if (read === 'gone') this.close(true);
    if (this.#closed || read === 'gone' || read === 'no answer') return false;
    this.#done(read, true);
    return true;
  }

  async #lookForMembers(): Promise<void> {
    if (!(await this.#refreshDone())) return;
    const { members } = this.#shared!;
    for (const [client, epoch] of this.#progress!.members) {
      if (members.has(client)) continue;
      const member = new OwnedMember(client, epoch);
      member.inDoubt = true;
      members.set(client, member);
    }
  }
}
