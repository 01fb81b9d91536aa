import {
  type ClientId,
  csOfLane,
  type GroupId,
  type NodeId,
  type QueueId,
  queueName,
} from '@lmqtt/common/ids';
import type { Clock } from '@lmqtt/common/clock';
import { Cursor } from '@lmqtt/common/cursor';
import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { parseSharedFilter } from '@lmqtt/common/topic';
import { fencePartition, type SessionWrite } from '@lmqtt/proto/link';
import type { DsEvents } from '../events.ts';
import type { AbsentMembers } from '../group-store/absent-members.ts';
import {
  type ClusterGroupStore,
  type GroupPlace,
  groupThing,
} from '../group-store/cluster-group-store.ts';
import type { Groups } from '../groups.ts';
import type { Holdings } from '../holdings.ts';
import type { LiveSession } from '../live-session.ts';
import type { Outlet } from '../outlet.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Inbox } from '../registry/inbox.ts';
import type { Nodes } from '../registry/nodes.ts';
import type { Ownership } from '../registry/ownership.ts';
import type { RouteLog } from '../registry/route-log.ts';
import type { GroupOutlet, Queue, Routes } from '../routes.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';
import { Timers } from '../timers.ts';
import { GroupStreams } from './group-streams.ts';
import { HomeGroup, type HomeMember, HomeSession, outsOf } from './home-group.ts';
import { type GroupItem, messageOfText, messageText } from './messages.ts';
import { OwnedGroup, type OwnedGroupPorts } from './owned-group.ts';

export interface ClusterGroupsPorts {
  readonly self: NodeId;
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  readonly ownership: Ownership;
  readonly inbox: Inbox;
  readonly nodes: Nodes;
  readonly routeLog: RouteLog;
  readonly queueStore: QueueStore;
  readonly routes: Routes;
  readonly holdings: Pick<Holdings, 'addGroup' | 'removeGroup'>;
  /** By cs. */
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly events: DsEvents;
  readonly clock: Clock;
  readonly readMessages: number;
}

const tickMs = 50;
const acquireMs = 1000;
const ownsMs = 5000;
const holdMs = 60_000;
const pollMs = 100;
const hintMs = 5;
const announcedMsMax = 1000;
const retryMs = 500;
const stopMsMax = 2000;
/** Messages that are not stored, on their way to an owner. */
const forwardedMax = 1000;
/** A group of an owner that has not named it for so long is no more. */
const unheardMs = 20_000;

interface KnownGroup {
  readonly home: HomeGroup;
  /** Of the routes here; undefined: its queue is not known yet. */
  queue: Queue | undefined;
  readonly outlet: GroupOutlet;
  /** When its owner named it last. */
  heardMs: number;
}

/**
 * Shared groups of one of several ds. Two sides: a group's owner, one ds at a time, gives messages
 * to members by way of their cs; the ds where a member lives tells the owner of it. Where both are
 * the same, nothing goes over the registry. Everything that is told is told again when the owner
 * changes or when something was lost, so that what counts is in the stores or with the cs.
 */
export class ClusterGroups implements Groups {
  readonly #ports: ClusterGroupsPorts;
  readonly #streams: GroupStreams;
  readonly #timers: Timers;
  readonly #known = new Map<GroupId, KnownGroup>();
  readonly #owned = new Map<GroupId, OwnedGroup>();
  readonly #sessions = new Map<LiveSession, HomeSession>();
  /** What is to be told of members when the turn ends, by owner. */
  readonly #joins = new Map<NodeId, Set<HomeMember>>();
  readonly #credits = new Map<NodeId, Set<HomeMember>>();
  readonly #heres = new Map<NodeId, Map<GroupId, number>>();
  /** Those that something was told of, in this turn. */
  readonly #touched = new Set<OwnedGroup>();
  /** Partitions in which something arrived. */
  readonly #hints = new Map<HomeGroup, Set<number>>();
  #acquiring: Promise<void> | undefined;
  #acquireAgain = false;
  #acquireSoon = false;
  #stopped = false;

  constructor(ports: ClusterGroupsPorts) {
    this.#ports = ports;
    const { nodes, clock, events } = ports;
    this.#streams = new GroupStreams({
      self: ports.self,
      inbox: ports.inbox,
      monotonicMs: () => clock.monotonicMs(),
      gather: (to, items) => this.#gather(to, items),
      everything: (to, items) => this.#everything(to, items),
      take: (from, item) => this.#take(from, item),
      beginning: (from) => {
        for (const owned of this.#owned.values()) owned.beginning(from);
      },
      begun: (from) => {
        for (const owned of this.#owned.values()) owned.begun(from);
      },
      taken: () => this.#taken(),
    });
    nodes.onEnded((ended) => {
      if (ended.role === 'ds' && ended.id !== ports.self) this.#dsEnded(ended.id);
    });
    nodes.onLease((held) => {
      if (held) this.#acquire();
    });
    this.#timers = new Timers((where, error) => events.unexpected(where, error));
    this.#timers.every('shared groups', tickMs, () => this.#tick());
    this.#timers.every('owners of shared groups', acquireMs, () => this.#acquire());
    this.#timers.every('queues of shared groups', pollMs, () => this.#poll());
    this.#timers.every('names of shared groups', ownsMs, () => this.#name());
    this.#timers.every('holders of shared groups', holdMs, () => this.#hold());
  }

  /** Those that this ds owns. */
  get count(): number {
    return this.#owned.size;
  }

  /** Before the nodes of the registry stop. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#timers.stop();
    await within(this.#release(), stopMsMax);
    this.#ports.groupStore.close();
  }

  async open(groupName: string, queue: Queue, member: StoredSession): Promise<HomeGroup> {
    const { groupStore, queueStore } = this.#ports;
    const name = `${groupName}/${queue.name}`;
    const entry = { name, queue: queue.id, member: member.clientId, epoch: member.epoch };
    let entered = await groupStore.enter({ ...entry, cursors: undefined });
    if (entered.kind === 'absent') {
      const ends = await queueStore.ends(queue.id);
      const cursors = ends.map(({ partition, end }) => Cursor.at(partition, end));
      entered = await groupStore.enter({ ...entry, cursors });
    }
    if (entered.kind === 'absent')
      throw new StoreFailure(`group ${name} was not made`, ReasonCode.serverUnavailable);
    const { home } = this.#knowing(entered.group.id, name, queue.id);
    home.pins += 1;
    if (!entered.made) return home;
    // Whoever publishes from now on finds it.
    this.#acquire();
    await this.#acquiring;
    const owned = this.#owned.get(home.id);
    if (owned !== undefined) await within(owned.announced, announcedMsMax);
    return home;
  }

  unpin(group: { readonly id: GroupId }): void {
    const known = this.#known.get(group.id);
    if (known !== undefined) known.home.pins -= 1;
  }

  /** Its record is in the store, whichever ds has heard of it. */
  has(): boolean {
    return true;
  }

  join(session: LiveSession, subscription: StoredSubscription): void {
    const id = subscription.group!;
    const { home } = this.#knowing(id, nameOf(subscription.filter), subscription.queue);
    let ours = this.#sessions.get(session);
    if (ours === undefined) this.#sessions.set(session, (ours = new HomeSession()));
    const known = ours.members.get(id);
    if (known !== undefined) return;
    const { filter } = subscription;
    const fresh = !ours.joined.has(id);
    const member = { session, group: home, filter, fresh, consumed: 0, countedFrom: 0 };
    ours.members.set(id, member);
    ours.joined.add(id);
    home.members.set(session.clientId, member);
    if (home.pins === 0) void this.#enter(home, session.stored);
    this.#tellOf(member);
  }

  restoreOut(session: LiveSession): void {
    const ours = this.#sessions.get(session);
    if (ours === undefined) return;
    ours.consumed = 0;
    for (const member of ours.members.values()) {
      member.consumed = 0;
      member.countedFrom = 0;
      member.fresh = false;
      this.#tellOf(member);
    }
  }

  disconnect(session: LiveSession): void {
    const ours = this.#sessions.get(session);
    if (ours === undefined) return;
    this.#sessions.delete(session);
    const { clientId: client, epoch, stored } = session;
    for (const [group, member] of ours.members) {
      this.#forgetMember(member);
      const outs = outsOf(stored, group);
      this.#tell(member.group, { kind: 'left', group, client, epoch, outs });
    }
  }

  leave(stored: StoredSession, { filter, queue, group }: StoredSubscription): void {
    const { home } = this.#knowing(group!, nameOf(filter), queue);
    const { clientId: client, epoch, removed } = stored;
    const member = home.members.get(client);
    if (member?.session.stored === stored) {
      this.#forgetMember(member);
      this.#sessions.get(member.session)?.members.delete(home.id);
    }
    // A session that goes on completes what it has begun [MQTT-3.10.4-3]; what one that ended had
    // at QoS 2 goes to nobody else [MQTT-4.8.2-5].
    const outs = outsOf(stored, home.id).filter(({ qos }) => !removed || qos === 2);
    const places = outs.map(placeOf);
    if (places.length > 0) this.#ports.groupStore.done(home.id, places);
    if (removed) for (const _ of outs) this.#ports.events.groupMessageGivenUp(home.name);
    this.#tell(home, { kind: 'leave', group: home.id, client, epoch, places });
    void this.#leave(home, client, epoch);
  }

  write(session: LiveSession, write: SessionWrite): void {
    if (write.kind === 'assigned-done') {
      const { group, partition, offset } = write;
      if (partition >= fencePartition)
        this.#fenced(session, group, partition - fencePartition, offset);
      else {
        this.#consumed(session, group, 1);
        this.#done(group, { partition, offset }, false);
      }
      return;
    }
    if (write.kind === 'done') {
      const out = session.stored.outboundOf(write.packetId);
      if (out?.place.kind !== 'group') return;
      const { group } = out.place;
      const isMarked = out.qos === 2;
      if (isMarked) this.#ports.groupStore.done(group, [placeOf(out.place)]);
      this.#done(group, placeOf(out.place), isMarked);
      return;
    }
    if (write.kind !== 'sent' || write.place.kind !== 'group') return;
    const { group } = write.place;
    this.#consumed(session, group, 1);
    // No store knows it otherwise, and it is not to go to another [MQTT-4.8.2-5].
    if (write.qos === 2 && !session.stored.persistent)
      this.#ports.groupStore.done(group, [placeOf(write.place)]);
  }

  settled(): Promise<void> | undefined {
    return this.#ports.groupStore.settled();
  }

  credit(session: LiveSession, messagesTotal: number): void {
    const ours = this.#sessions.get(session);
    if (ours === undefined) {
      session.givenMax = Math.max(session.givenMax, messagesTotal);
      return;
    }
    ours.credited(session, messagesTotal);
    for (const member of ours.members.values()) this.#creditDue(member);
  }

  // Where members live

  #consumed(session: LiveSession, group: GroupId, messages: number): void {
    const ours = this.#sessions.get(session);
    if (ours === undefined) return;
    ours.consumed += messages;
    const member = ours.members.get(group);
    if (member !== undefined) member.consumed += messages;
  }

  #done(group: GroupId, place: GroupPlace, marked: boolean): void {
    const home = this.#known.get(group)?.home;
    if (home === undefined || place.offset < 0) return;
    this.#tell(home, { kind: 'done', group, marked, places: [place] });
  }

  #fenced(session: LiveSession, group: GroupId, fence: number, dropped: number): void {
    this.#consumed(session, group, dropped);
    const ours = this.#sessions.get(session);
    const member = ours?.members.get(group);
    if (ours === undefined || member === undefined) return;
    member.countedFrom = member.consumed;
    const { clientId: client, epoch, stored } = session;
    const credit = ours.creditOf(member);
    const outs = outsOf(stored, group);
    this.#tell(member.group, { kind: 'fenced', group, client, epoch, fence, credit, outs });
  }

  /** To the owner, now or when it is known. */
  #tell(home: HomeGroup, item: GroupItem): void {
    if (home.owner === undefined) {
      home.keep(item);
      this.#wantOwner();
    } else this.#streams.send(home.owner, item);
  }

  #tellOf(member: HomeMember): void {
    const { owner } = member.group;
    if (owner === undefined) {
      this.#wantOwner();
      return;
    }
    addTo(this.#joins, owner, member);
    this.#streams.wake(owner);
  }

  #creditDue(member: HomeMember): void {
    const { owner } = member.group;
    if (owner === undefined) return;
    addTo(this.#credits, owner, member);
    this.#streams.wake(owner);
  }

  #forgetMember(member: HomeMember): void {
    const { group, session } = member;
    if (group.members.get(session.clientId) === member) group.members.delete(session.clientId);
  }

  #gather(to: NodeId, items: GroupItem[]): void {
    const joins = this.#joins.get(to);
    const credits = this.#credits.get(to);
    this.#joins.delete(to);
    this.#credits.delete(to);
    for (const member of joins ?? []) {
      const { session, group, filter, fresh } = member;
      if (group.owner !== to || group.members.get(session.clientId) !== member) continue;
      member.fresh = false;
      credits?.delete(member);
      const { clientId: client, epoch, handle, node, stored } = session;
      member.countedFrom = member.consumed;
      items.push({
        kind: 'join',
        group: group.id,
        client,
        epoch,
        cs: csOfLane(node.id),
        handle,
        filter,
        fresh,
        credit: this.#sessions.get(session)?.creditOf(member) ?? 0,
        outs: outsOf(stored, group.id),
      });
    }
    for (const [group, ownerEpoch] of this.#heres.get(to) ?? [])
      items.push({ kind: 'here', group, ownerEpoch });
    this.#heres.delete(to);
    for (const member of credits ?? []) {
      const { session, group } = member;
      const ours = this.#sessions.get(session);
      if (group.owner !== to || ours === undefined) continue;
      const { clientId: client, epoch } = session;
      const total = ours.creditOf(member);
      items.push({ kind: 'credit', group: group.id, client, epoch, total });
    }
  }

  #everything(to: NodeId, items: GroupItem[]): void {
    for (const { home } of this.#known.values()) {
      if (home.owner !== to) continue;
      for (const member of home.members.values()) addTo(this.#joins, to, member);
    }
    for (const owned of this.#owned.values()) {
      const item = this.#ownerItem(owned);
      if (item !== undefined) items.push(item);
    }
  }

  /** It entered by a subscribe; where that was taken back, it does so again. */
  async #enter(home: HomeGroup, { clientId: member, epoch }: StoredSession): Promise<void> {
    const { name, queue } = home;
    await this.#untilStored(async () => {
      await this.#ports.groupStore.enter({ name, queue, member, epoch, cursors: undefined });
    });
  }

  async #leave(home: HomeGroup, client: ClientId, epoch: number): Promise<void> {
    await this.#untilStored(async () => {
      const isGone = await this.#ports.groupStore.leave(home.id, client, epoch);
      if (!isGone) return;
      this.#unhold(home);
      this.#tell(home, { kind: 'gone', group: home.id });
    });
  }

  async #untilStored(work: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await work();
        return;
      } catch (error) {
        this.#ports.events.unexpected('member of a shared group', error);
        await pause(retryMs);
      }
    }
  }

  // What is known of groups

  #knowing(id: GroupId, name: string, queue: QueueId): KnownGroup {
    let known = this.#known.get(id);
    if (known === undefined) {
      const home = new HomeGroup(id, name, queue);
      known = { home, queue: undefined, outlet: this.#outletOf(home), heardMs: this.#nowMs };
      this.#known.set(id, known);
    }
    if (known.queue === undefined) {
      known.queue = this.#ports.routes.queue(queue);
      if (known.queue !== undefined) this.#ports.holdings.addGroup(known.queue, known.outlet);
    }
    return known;
  }

  #forgetGroup(id: GroupId): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.delete(id);
    if (known.queue !== undefined) this.#ports.holdings.removeGroup(known.queue, known.outlet);
  }

  #outletOf(home: HomeGroup): GroupOutlet {
    const cursorsOf = (): readonly Cursor[] => this.#owned.get(home.id)?.stored?.cursors ?? [];
    return {
      stored: {
        get cursors() {
          return cursorsOf();
        },
      },
      give: (message) => this.#give(home, message),
      arrived: (entry, message) => {
        const owned = this.#owned.get(home.id);
        if (owned === undefined) this.#hint(home, entry.partition);
        else owned.arrived(entry, message);
      },
    };
  }

  /** The owner is to read, once for all that arrives in a short while. */
  #hint(home: HomeGroup, partition: number): void {
    const hints = this.#hints.get(home);
    if (hints !== undefined) {
      hints.add(partition);
      return;
    }
    this.#hints.set(home, new Set([partition]));
    if (this.#hints.size > 1) return;
    setTimeout(() => {
      for (const [{ id: group, owner }, partitions] of this.#hints) {
        if (owner === undefined || owner === this.#ports.self) continue;
        for (const one of partitions)
          this.#streams.send(owner, { kind: 'arrived', group, partition: one });
      }
      this.#hints.clear();
    }, hintMs).unref();
  }

  #give(home: HomeGroup, message: Message): void {
    const owned = this.#owned.get(home.id);
    if (owned?.isGiving === true) owned.give(message);
    else if (!home.give(message) && home.owner !== undefined && home.owner !== this.#ports.self) {
      if (this.#streams.waiting(home.owner) >= forwardedMax) {
        this.#ports.events.groupMessageDropped(home.name);
        return;
      }
      const text = messageText(message);
      this.#streams.send(home.owner, { kind: 'message', group: home.id, message: text });
    }
  }

  /** What this ds owns another may have, from where it has come to. */
  async #release(): Promise<void> {
    const owned = [...this.#owned.values()];
    await Promise.all(owned.map((one) => one.save()));
    for (const one of owned) one.close(false);
    await this.#ports.ownership.release(owned.map(({ id }) => groupThing(id))).catch(() => {});
  }

  #unhold({ queue, name }: HomeGroup): void {
    this.#ports.routeLog.release(queue, `$share/${name}`);
  }

  #take(from: NodeId, item: GroupItem): void {
    const touched = item.kind === 'owns' ? undefined : this.#owned.get(item.group);
    if (touched !== undefined) this.#touched.add(touched);
    switch (item.kind) {
      case 'owner':
        this.#heardOwner(from, item);
        return;
      case 'owns': {
        const groups = new Set(item.groups);
        for (const [id, known] of this.#known) {
          if (known.home.owner !== from) continue;
          if (groups.has(id)) known.heardMs = this.#nowMs;
          else if (known.home.members.size > 0) this.#lostOwner(known.home);
          else this.#forgetGroup(id);
        }
        return;
      }
      case 'message':
        this.#owned.get(item.group)?.give(messageOfText(item.message));
        return;
      case 'arrived':
        this.#owned.get(item.group)?.look(item.partition);
        return;
      case 'gone': {
        const owned = this.#owned.get(item.group);
        if (owned !== undefined) owned.close(true);
        else this.#forgetGroup(item.group);
        return;
      }
      default: {
        const owned = this.#owned.get(item.group);
        if (owned !== undefined) owned.take(from, item);
        // Whoever thinks that this ds owns it asks the registry again.
        else if (item.kind === 'join' && from !== this.#ports.self) this.#nameTo(from);
      }
    }
  }

  #heardOwner(from: NodeId, item: GroupItem & { readonly kind: 'owner' }): void {
    const known = this.#knowing(item.group, item.name, item.queue);
    const { home } = known;
    known.heardMs = this.#nowMs;
    if (item.ownerEpoch < home.ownerEpoch) return;
    this.#setOwner(home, from, item.ownerEpoch);
    for (const member of home.members.values()) addTo(this.#joins, from, member);
    let heres = this.#heres.get(from);
    if (heres === undefined) this.#heres.set(from, (heres = new Map()));
    heres.set(item.group, item.ownerEpoch);
    this.#streams.wake(from);
  }

  #taken(): void {
    for (const owned of this.#touched) {
      if (owned.isGiving) owned.pump();
      else owned.tick();
    }
    this.#touched.clear();
    this.#flush();
  }

  // Owners

  #setOwner(home: HomeGroup, owner: NodeId, epoch: number): void {
    if (home.owner === owner && home.ownerEpoch === epoch) return;
    home.owner = owner;
    home.ownerEpoch = epoch;
    for (const item of home.takePending()) this.#streams.send(owner, item);
    for (const member of home.members.values()) addTo(this.#joins, owner, member);
    this.#streams.wake(owner);
  }

  #lostOwner(home: HomeGroup): void {
    home.owner = undefined;
    this.#wantOwner();
  }

  #wantOwner(): void {
    if (this.#acquireSoon) return;
    this.#acquireSoon = true;
    setImmediate(() => {
      this.#acquireSoon = false;
      this.#acquire();
    });
  }

  /** Of every group with members here: whoever asks first after an owner's end is the next. */
  #acquire(): void {
    if (this.#stopped) return;
    if (this.#acquiring !== undefined) {
      this.#acquireAgain = true;
      return;
    }
    this.#acquiring = this.#acquireAll()
      .catch((error: unknown) => this.#ports.events.unexpected('shared groups', error))
      .finally(() => {
        this.#acquiring = undefined;
        if (!this.#acquireAgain) return;
        this.#acquireAgain = false;
        this.#acquire();
      });
  }

  async #acquireAll(): Promise<void> {
    const { ownership, self } = this.#ports;
    const wanted = [...this.#known.values()]
      .map(({ home }) => home)
      .filter(
        (home) =>
          home.members.size > 0 ||
          home.pins > 0 ||
          home.owner === undefined ||
          this.#owned.has(home.id),
      );
    if (wanted.length === 0) return;
    const owners = await ownership.acquire(wanted.map(({ id }) => groupThing(id)));
    if (this.#stopped) return;
    for (const [index, home] of wanted.entries()) {
      const { owner, epoch } = owners[index]!;
      const owned = this.#owned.get(home.id);
      if (owned !== undefined && (owner !== self || owned.epoch !== epoch)) owned.close(false);
      if (!this.#known.has(home.id)) continue;
      if (owner === self && !this.#owned.has(home.id)) this.#own(home, epoch);
      this.#setOwner(home, owner, epoch);
    }
  }

  #own(home: HomeGroup, epoch: number): void {
    const ports = this.#ports;
    const group: OwnedGroupPorts = {
      self: ports.self,
      groupStore: ports.groupStore,
      absentMembers: ports.absentMembers,
      ownership: ports.ownership,
      queueStore: ports.queueStore,
      outlets: ports.outlets,
      readMessages: ports.readMessages,
      monotonicMs: () => ports.clock.monotonicMs(),
      mayGive: () => ports.clock.monotonicMs() < ports.nodes.leaseEndsMs,
      otherDs: async () => {
        const lines = await ports.nodes.list();
        return lines
          .filter(({ id, role, state }) => role === 'ds' && state !== 'gone' && id !== ports.self)
          .map(({ id }) => id);
      },
      isAlive: (ds) => ds === ports.self || ports.nodes.ds.some(({ id }) => id === ds),
      announce: (owned, ds) => {
        const item = this.#ownerItem(owned);
        if (item !== undefined) for (const to of ds) this.#streams.send(to, item);
      },
      flush: () => this.#flush(),
      readFailed: (stored, error) => ports.events.groupReadFailed(stored, error),
      givenUp: (stored) => ports.events.groupMessageGivenUp(stored.name),
      failed: (where, error) => ports.events.unexpected(where, error),
      over: (owned, isGone) => this.#over(owned, isGone),
    };
    this.#owned.set(home.id, new OwnedGroup(home.id, epoch, group));
    void this.#holdAll([home]);
  }

  #over(owned: OwnedGroup, isGone: boolean): void {
    if (this.#owned.get(owned.id) === owned) this.#owned.delete(owned.id);
    const home = this.#known.get(owned.id)?.home;
    if (home === undefined || this.#stopped) return;
    if (!isGone) {
      if (home.owner === this.#ports.self) this.#lostOwner(home);
      return;
    }
    this.#unhold(home);
    this.#forgetGroup(home.id);
    for (const { id } of this.#ports.nodes.ds)
      if (id !== this.#ports.self) this.#streams.send(id, { kind: 'gone', group: home.id });
    this.#ports.ownership.release([groupThing(home.id)]).catch(() => {});
  }

  #ownerItem(owned: OwnedGroup): GroupItem | undefined {
    const home = this.#known.get(owned.id)?.home;
    if (home === undefined) return undefined;
    const { name, queue } = home;
    return { kind: 'owner', group: owned.id, name, queue, ownerEpoch: owned.epoch };
  }

  #dsEnded(ds: NodeId): void {
    this.#streams.forget(ds);
    for (const owned of this.#owned.values()) owned.dsEnded(ds);
    let isOwner = false;
    for (const { home } of this.#known.values()) {
      if (home.owner !== ds) continue;
      home.owner = undefined;
      isOwner = true;
    }
    if (isOwner) this.#acquire();
  }

  // Timers

  #tick(): void {
    for (const owned of [...this.#owned.values()]) owned.tick();
    this.#streams.beat();
    this.#flush();
  }

  #poll(): void {
    for (const owned of this.#owned.values()) owned.poll();
    this.#flush();
  }

  #name(): void {
    for (const { id } of this.#ports.nodes.ds) if (id !== this.#ports.self) this.#nameTo(id);
    const limitMs = this.#nowMs - unheardMs;
    for (const [id, { home, heardMs }] of this.#known) {
      if (this.#owned.has(id) || home.members.size > 0 || home.pins > 0) continue;
      if (heardMs < limitMs) this.#forgetGroup(id);
    }
  }

  #nameTo(ds: NodeId): void {
    // An empty list as well, where it was not empty before.
    this.#streams.send(ds, { kind: 'owns', groups: [...this.#owned.keys()] });
  }

  #hold(): Promise<void> {
    const homes = [...this.#owned.keys()].map((id) => this.#known.get(id)?.home);
    return this.#holdAll(homes.filter((home) => home !== undefined));
  }

  /** Its queue is held by the group, whoever thought that it was no more. */
  async #holdAll(homes: readonly HomeGroup[]): Promise<void> {
    const { routes, routeLog, events } = this.#ports;
    const openings = homes.flatMap(({ name, queue }) => {
      const known = routes.queue(queue);
      if (known === undefined) return [];
      const { place } = known;
      const filter = queueName(name.slice(name.indexOf('/') + 1));
      return [{ name: filter, place, holder: `$share/${name}` as const, node: undefined }];
    });
    if (openings.length === 0) return;
    try {
      await routeLog.open(openings);
    } catch (error) {
      events.unexpected('holders of shared groups', error);
    }
  }

  #flush(): void {
    for (const outlet of this.#ports.outlets.values()) outlet.flush();
  }

  get #nowMs(): number {
    return this.#ports.clock.monotonicMs();
  }
}

/** `{group}/{filter}` of `$share/{group}/{filter}` */
function nameOf(filter: string): string {
  const shared = parseSharedFilter(filter);
  if (shared === undefined || shared === 'malformed') throw new Error(`not shared: ${filter}`);
  return `${shared.group}/${shared.filter}`;
}

function placeOf({ partition, offset }: GroupPlace): GroupPlace {
  return { partition, offset };
}

function addTo<T>(map: Map<NodeId, Set<T>>, key: NodeId, value: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, new Set([value]));
  else known.add(value);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  await Promise.race([work, pause(ms)]);
}
