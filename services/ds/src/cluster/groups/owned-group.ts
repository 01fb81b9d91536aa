import { cursorsOf } from '@lmqtt/common/cursor-text';
import type { ClientId, GroupId, NodeId } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import type { AbsentMembers, MemberOut } from '../../group-store/absent-members.ts';
import {
  type ClusterGroupStore,
  groupThing,
  type LoadedGroup,
} from '../../group-store/cluster-group-store.ts';
import type { StoredGroup } from '../../group-store/group-store.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { QueueStore } from '../../queue-store/queue-store.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import type { Ownership } from '../../registry/ownership.ts';
import { SharedGroup } from '../../routing/shared-group.ts';
import { AbsentLooks } from './absent-looks.ts';
import { GroupOuts } from './group-outs.ts';
import { GroupProgress } from './group-progress.ts';
import type { GroupItem, Join } from './messages.ts';
import { noFence, OwnedMember } from './owned-member.ts';
import { PollPace } from './poll-pace.ts';

export interface OwnedGroupPorts {
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  readonly ownership: Ownership;
  readonly queueStore: Pick<QueueStore, 'read' | 'partitions'>;
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly readMessages: number;
  readonly rights: Pick<SessionRights, 'ofText'>;
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
const emptyLookMs = 5000;
const tendMs = 500;
/** A cs that does not answer does not hold up the others for longer. */
const gatherMsMax = 15_000;

/**
 * A group that this ds owns, by one epoch of ownership. Nothing is given out before it is known
 * what members have: from where they live, by a fence that their cs answers, or from the store where
 * they are absent.
 */
export class OwnedGroup {
  readonly id: GroupId;
  readonly epoch: number;
  /** All ds know of it. */
  readonly announced: Promise<void>;
  #isAnnounced: () => void = () => {};
  #outs: GroupOuts | undefined;
  #absent: AbsentLooks | undefined;
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
  readonly #polls = new PollPace();
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
    this.#polls.hurry();
  }

  /** From a timer: what nobody has told of is found. */
  poll(): void {
    const shared = this.#shared;
    const nowMs = this.#ports.monotonicMs();
    if (!this.#giving || shared === undefined || !this.#polls.isDue(nowMs)) return;
    const readTo = shared.nexts.reduce((sum, { next }) => sum + next, 0);
    this.#polls.polled(nowMs, readTo);
    shared.lookEverywhere();
    shared.pump();
  }

  pump(): void {
    this.#shared?.pump();
  }

  take(from: NodeId, item: GroupItem): void {
    const outs = this.#outs;
    if (outs === undefined) {
      this.#early.push({ from, item });
      return;
    }
    const { shared } = outs;
    switch (item.kind) {
      case 'join':
        this.#join(outs, from, item);
        break;
      case 'left': {
        const member = shared.members.get(item.client);
        // Where it lives may have changed since.
        if (member?.home === from && member.epoch === item.epoch) this.#left(member, item.outs);
        break;
      }
      case 'leave': {
        outs.done(item.places, true);
        const member = shared.members.get(item.client);
        if (member === undefined || member.epoch > item.epoch) break;
        shared.members.delete(item.client);
        void this.#takeBack(outs, member);
        shared.reconsider();
        break;
      }
      case 'rights': {
        const member = shared.members.get(item.client);
        if (member === undefined || member.epoch !== item.epoch) break;
        member.rights = this.#ports.rights.ofText(item.rights);
        shared.reconsider();
        break;
      }
      case 'done':
        outs.done(item.places, item.marked);
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
    if (this.#closed || this.#outs === undefined) return;
    const { shared, progress } = this.#outs;
    const nowMs = this.#ports.monotonicMs();
    if (!this.#giving || Math.min(this.#tendAtMs, this.#absent!.soonMs) <= nowMs) {
      this.#tendAtMs = nowMs + tendMs;
      this.#absent!.soonMs = Infinity;
      for (const member of this.#members) this.#tend(member, nowMs);
    }
    if (!this.#giving) this.#gather(nowMs);
    if (progress.isDue(nowMs)) void this.save();
    if (shared.members.size > 0) this.#emptySinceMs = 0;
    else if (this.#emptySinceMs === 0) this.#emptySinceMs = nowMs;
    else if (this.#emptySinceMs + emptyLookMs <= nowMs) {
      this.#emptySinceMs = nowMs;
      void this.#lookForMembers();
    }
  }

  /** How far it has come, for whoever owns it next. */
  async save(): Promise<void> {
    if ((await this.#outs?.progress.save()) === false) this.close(false);
  }

  close(isGone: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#giving = false;
    if (this.#shared !== undefined) this.#shared.closed = true;
    this.#isAnnounced();
    this.#ports.over(this, isGone);
  }

  get #shared(): SharedGroup<ClientId, OwnedMember> | undefined {
    return this.#outs?.shared;
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
    const progress = new GroupProgress(record, this.epoch, cursors, ports);
    const shared = new SharedGroup<ClientId, OwnedMember>(
      stored,
      name.slice(name.indexOf('/') + 1),
      {
        read: (request) => ports.queueStore.read(request),
        flush: () => ports.flush(),
        failed: (group, error) => ports.readFailed(group, error),
        skip: (_group, partition, offset) => this.#outs!.done([{ partition, offset }], false),
        readMessages: ports.readMessages,
        partitions: () => ports.queueStore.partitions?.() ?? [],
        mayGive: () => this.#giving && ports.mayGive(),
      },
      this.epoch,
    );
    const outs = new GroupOuts(shared, progress, () => this.close(true));
    this.#outs = outs;
    this.#absent = this.#absentOf(outs);
    outs.done(record.done, true);
    for (const [client, epoch] of record.members) this.#addInDoubt(client, epoch);
    this.#awaited = new Set(others);
    const early = this.#early.splice(0);
    for (const { from, item } of early) this.take(from, item);
    this.tick();
  }

  #absentOf(outs: GroupOuts): AbsentLooks {
    const ports = this.#ports;
    return new AbsentLooks({
      group: this.id,
      outs,
      groupStore: ports.groupStore,
      absentMembers: ports.absentMembers,
      monotonicMs: () => ports.monotonicMs(),
      isAlive: (ds) => ports.isAlive(ds),
      isGiving: () => this.#giving,
      isAwaited: (ds) => this.#awaited.has(ds),
      settle: (member, sent) => this.#settleOuts(member, sent, () => {}),
      pump: () => {
        outs.shared.pump();
        ports.flush();
      },
      givenUp: () => ports.givenUp(outs.shared.stored),
      failed: (where, error) => ports.failed(where, error),
      gone: () => this.close(true),
    });
  }

  #addInDoubt(client: ClientId, epoch: number): void {
    const member = new OwnedMember(client, epoch);
    member.inDoubt = true;
    this.#shared!.members.set(client, member);
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
    const isRead = await this.#outs!.refreshDone();
    this.#starting = false;
    if (!isRead || this.#closed || !this.#isGathered) return;
    this.#giving = true;
    this.#shared!.start();
    this.#absent!.takeBack();
    this.#shared!.pump();
    this.#ports.flush();
  }

  #join(outs: GroupOuts, from: NodeId, join: Join): void {
    const { shared } = outs;
    let member = shared.members.get(join.client);
    if (member !== undefined && member.epoch > join.epoch) return;
    if (member === undefined) {
      member = new OwnedMember(join.client, join.epoch);
      shared.members.set(join.client, member);
    }
    member.joined(from, join);
    member.rights = this.#ports.rights.ofText(join.rights);
    member.fencedAtMs = this.#ports.monotonicMs();
    const outlet = this.#ports.outlets.get(join.cs);
    if (!join.fresh || outlet === undefined) {
      outs.restore(member, join.outs);
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
    outlet.fence({ session: handle, group: this.id, epoch: this.epoch, number: fence });
  }

  async #fenced(member: OwnedMember, credit: number, outs: readonly MemberOut[]): Promise<void> {
    const outlet = member.fencedBy!;
    await this.#settleOuts(member, outs, () => member.sit(outlet, credit));
  }

  /** It has exactly these. Then `next`, unless something else was heard of it. */
  async #settleOuts(
    member: OwnedMember,
    outs: readonly MemberOut[],
    next: () => void,
  ): Promise<void> {
    const settling = this.#outs!.settle(member, outs);
    if (settling !== undefined && !(await settling)) return;
    next();
    this.#shared!.reconsider();
    this.#absent!.takeBack();
    this.#shared!.pump();
    this.#ports.flush();
  }

  /** It is a member no more. */
  async #takeBack(outs: GroupOuts, member: OwnedMember): Promise<void> {
    if (!(await outs.takeBackAll(member))) return;
    outs.shared.pump();
    this.#ports.flush();
  }

  /** Its connection ended, and this is what it had sent. */
  #left(member: OwnedMember, outs: readonly MemberOut[]): void {
    member.absent(outs);
    this.#absent!.soon(member);
    void this.#settleOuts(member, outs, () => {});
  }

  #doubt(member: OwnedMember): void {
    member.doubt();
    this.#absent!.soon(member);
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
    this.#absent!.tend(member, nowMs);
  }

  async #lookForMembers(): Promise<void> {
    const { shared, progress } = this.#outs!;
    if (!(await this.#outs!.refreshDone())) return;
    for (const [client, epoch] of progress.members)
      if (!shared.members.has(client)) this.#addInDoubt(client, epoch);
  }
}
