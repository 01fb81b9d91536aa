import { cursorsOf } from '@lmqtt/common/cursor-text';
import type { ClientId, GroupId, NodeId } from '@lmqtt/common/ids';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import { idlePause } from '@lmqtt/common/pause';
import type { AbsentMembers } from '../../group-store/absent-members.ts';
import {
  type ClusterGroupStore,
  groupThing,
  type LoadedGroup,
} from '../../group-store/cluster-group-store.ts';
import type { StoredGroup } from '../../group-store/group-store.ts';
import type { OwnedGroupLine } from '../../use-cases/group-lines.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { QueueStore } from '../../queue-store/queue-store.ts';
import { type Undelivered, unacknowledged } from '../../use-cases/dead-letters.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import type { Ownership } from '../../registry/ownership.ts';
import type { LostMessage } from '../../routing/group-member.ts';
import { SharedGroup } from '../../routing/shared-group.ts';
import { GroupOuts } from './group-outs.ts';
import { GroupProgress } from './group-progress.ts';
import type { GroupItem } from './messages.ts';
import type { OwnedMember } from './owned-member.ts';
import { OwnedMembers } from './owned-members.ts';
import { PollPace } from './poll-pace.ts';

export interface OwnedGroupPorts {
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  readonly ownership: Ownership;
  readonly queueStore: Pick<QueueStore, 'read' | 'partitions'>;
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly readMessages: number;
  readonly retryIntervalMs: number;
  readonly triesMax: number;
  /** Resolves when the message is a dead letter, or is not to be. */
  undelivered(clientId: ClientId, message: Undelivered): Promise<void>;
  readonly rights: Pick<SessionRights, 'ofText'>;
  monotonicMs(): number;
  /** This ds has its lease. */
  mayGive(): boolean;
  /** All ds that may have members, but this one. */
  otherDs(): Promise<NodeId[]>;
  isAlive(ds: NodeId): boolean;
  announce(group: OwnedGroup, ds: readonly NodeId[]): void;
  /** Sends the messages that were assigned. */
  flush(): void;
  readFailed(group: StoredGroup, error: unknown): void;
  givenUp(group: StoredGroup): void;
  failed(where: string, error: unknown): void;
  /** The group is no more, or another owns it. */
  over(group: OwnedGroup, isGone: boolean): void;
}

const retryMs = 500;
const announceMs = 1000;
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
  /** undefined: the group is not loaded. */
  #members: OwnedMembers | undefined;
  readonly #ports: OwnedGroupPorts;
  /** Nodes that have not told of their members. */
  #awaited = new Set<NodeId>();
  #announcedMs = 0;
  readonly #sinceMs: number;
  #starting = false;
  #giving = false;
  #closed = false;
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
    const members = this.#members;
    if (members === undefined) {
      this.#early.push({ from, item });
      return;
    }
    switch (item.kind) {
      case 'done':
        members.outs.done(item.places, item.marked);
        break;
      case 'here':
        if (item.ownerEpoch === this.epoch && this.#awaited.delete(from)) members.lookAtAll();
        break;
      case 'gone':
        this.close(true);
        break;
      default:
        members.take(from, item);
        break;
    }
  }

  /** The ds sends its whole state anew; `begun` when it has sent all of it. */
  beginning(from: NodeId): void {
    this.#members?.beginning(from);
  }

  begun(from: NodeId): void {
    this.#members?.begun(from);
  }

  dsEnded(ds: NodeId): void {
    this.#awaited.delete(ds);
    this.#members?.dsEnded(ds);
  }

  /** From a timer. */
  tick(): void {
    const members = this.#members;
    if (this.#closed || members === undefined) return;
    const { shared, progress } = members.outs;
    const nowMs = this.#ports.monotonicMs();
    if (!this.#giving || Math.min(this.#tendAtMs, members.soonMs) <= nowMs) {
      this.#tendAtMs = nowMs + tendMs;
      members.tend(nowMs);
    }
    if (!this.#giving) this.#gather(members, nowMs);
    if (progress.isDue(nowMs)) void this.save();
    if (shared.members.size > 0) this.#emptySinceMs = 0;
    else if (this.#emptySinceMs === 0) this.#emptySinceMs = nowMs;
    else if (this.#emptySinceMs + emptyLookMs <= nowMs) {
      this.#emptySinceMs = nowMs;
      void members.look();
    }
  }

  /** How far it has come, for whoever owns it next. */
  async save(): Promise<void> {
    if ((await this.#members?.outs.progress.save()) === false) this.close(false);
  }

  close(isGone: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#giving = false;
    if (this.#shared !== undefined) this.#shared.closed = true;
    this.#isAnnounced();
    this.#ports.over(this, isGone);
  }

  /** For operators; undefined: it is not open yet. */
  get line(): OwnedGroupLine | undefined {
    const shared = this.#shared;
    return shared && { stored: shared.stored, members: shared.memberLines };
  }

  get #shared(): SharedGroup<ClientId, OwnedMember> | undefined {
    return this.#members?.outs.shared;
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
        await idlePause(retryMs);
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
        skip: (_group, partition, offset) =>
          this.#members!.outs.done([{ partition, offset }], false),
        readMessages: ports.readMessages,
        retryIntervalMs: ports.retryIntervalMs,
        triesMax: ports.triesMax,
        giveUp: (group, lost) => void this.#giveUp(group, lost),
        partitions: () => ports.queueStore.partitions?.() ?? [],
        mayGive: () => this.#giving && ports.mayGive(),
      },
      this.epoch,
    );
    const outs = new GroupOuts(shared, progress, () => this.close(true));
    outs.done(record.done, true);
    this.#members = new OwnedMembers(this.id, this.epoch, outs, {
      outlets: ports.outlets,
      rights: ports.rights,
      groupStore: ports.groupStore,
      absentMembers: ports.absentMembers,
      monotonicMs: () => ports.monotonicMs(),
      isAlive: (ds) => ports.isAlive(ds),
      isGiving: () => this.#giving,
      isAwaited: (ds) => this.#awaited.has(ds),
      flush: () => ports.flush(),
      givenUp: () => ports.givenUp(stored),
      failed: (where, error) => ports.failed(where, error),
      gone: () => this.close(true),
    });
    this.#members.addKnown(record.members);
    this.#awaited = new Set(others);
    const early = this.#early.splice(0);
    for (const { from, item } of early) this.take(from, item);
    this.tick();
  }

  async #giveUp({ queue }: StoredGroup, lost: LostMessage): Promise<void> {
    const { clientId, filter, partition, offset, tries } = lost;
    const place = { queue, partition, offset };
    await this.#ports.undelivered(clientId, { ...unacknowledged(filter, tries), ...place });
    this.#members?.outs.done([{ partition, offset }], false);
  }

  /** Before the first message is given. */
  #gather(members: OwnedMembers, nowMs: number): void {
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
    if (this.#isGathered && !this.#starting) void this.#startGiving(members);
  }

  /** It is known what members have. */
  get #isGathered(): boolean {
    if (this.#awaited.size > 0) return false;
    const isLate = this.#sinceMs + gatherMsMax < this.#ports.monotonicMs();
    return this.#members?.areKnown(isLate) === true;
  }

  async #startGiving(members: OwnedMembers): Promise<void> {
    this.#starting = true;
    const isRead = await members.outs.refreshDone();
    this.#starting = false;
    if (!isRead || this.#closed || !this.#isGathered) return;
    this.#giving = true;
    members.outs.shared.start();
    members.goOn();
  }
}
