import { idlePause } from '@lmqtt/common/pause';
import { type ClientId, type GroupId, type NodeId, type QueueId } from '@lmqtt/common/ids';
import { Cursor } from '@lmqtt/common/cursor';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { parseSharedFilter } from '@lmqtt/common/topic';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { OutboundState } from '@lmqtt/proto/session-state';
import type { GroupPlace } from '../../group-store/cluster-group-store.ts';
import { refused } from '../../use-cases/dead-letters.ts';
import type { OwnedGroupLine } from '../../use-cases/group-lines.ts';
import type { Groups } from '../../use-cases/groups.ts';
import type { Holdings } from '../../use-cases/holdings.ts';
import type { LiveSession } from '../../sessions/live-session.ts';
import type { Inbox } from '../../registry/inbox.ts';
import type { Queue } from '../../routing/routes.ts';
import type { StoredSession, StoredSubscription } from '../../session-store/stored-session.ts';
import { Timers } from '../../timers.ts';
import { GroupArrivals } from './group-arrivals.ts';
import { GroupOwners, type GroupOwnersPorts } from './group-owners.ts';
import { GroupStreams } from './group-streams.ts';
import { type HomeGroup, type HomeMember, outsOf } from './home-group.ts';
import { KnownGroups } from './known-groups.ts';
import { MemberReports } from './member-reports.ts';
import type { GroupItem } from './messages.ts';

interface ClusterGroupsPorts extends Omit<GroupOwnersPorts, 'streams' | 'known' | 'reports'> {
  readonly inbox: Inbox;
  readonly holdings: Pick<Holdings, 'addGroup' | 'removeGroup'>;
}

const tickMs = 50;
const askMs = 1000;
const nameMs = 5000;
const holdMs = 60_000;
const pollMs = 100;
const announcedMsMax = 1000;
const retryMs = 500;
const stopMsMax = 2000;

/**
 * Shared groups of one of several ds. Two sides: a group's owner, one ds at a time, gives messages
 * to members by way of their cs; the ds where a member lives tells the owner of it. Where both are
 * the same, nothing goes over the registry. Everything that is told is told again when the owner
 * changes or when something was lost, so that what counts is in the stores or with the cs.
 */
export class ClusterGroups implements Groups {
  readonly #ports: ClusterGroupsPorts;
  readonly #streams: GroupStreams;
  readonly #known: KnownGroups;
  readonly #reports: MemberReports;
  readonly #owners: GroupOwners;
  readonly #timers: Timers;
  /** Told in their order, each when two stores have what was before it. */
  readonly #durables: { left: number; readonly durable: () => void }[] = [];
  #stopped = false;

  constructor(ports: ClusterGroupsPorts) {
    this.#ports = ports;
    const { nodes, clock, events, self, inbox } = ports;
    const monotonicMs = (): number => clock.monotonicMs();
    const streams = new GroupStreams({
      self,
      inbox,
      monotonicMs,
      gather: (to, items) => this.#reports.gather(to, items),
      everything: (to, items) => this.#everything(to, items),
      take: (from, item) => arrivals.take(from, item),
      beginning: (from) => arrivals.beginning(from),
      begun: (from) => arrivals.begun(from),
      taken: () => arrivals.taken(),
    });
    const known = new KnownGroups({
      ...ports,
      streams,
      monotonicMs,
      owned: (id) => this.#owners.get(id),
      dropped: ({ name }) => events.groupMessageDropped(name),
    });
    const reports = new MemberReports(ports.rights, (owner) => streams.wake(owner));
    this.#streams = streams;
    this.#known = known;
    this.#reports = reports;
    const owners = new GroupOwners({ ...ports, streams, known, reports });
    this.#owners = owners;
    const flush = (): void => this.#flush();
    const arrivals = new GroupArrivals({ self, known, reports, owners, flush });
    nodes.onEnded((ended) => {
      if (ended.role !== 'ds' || ended.id === self) return;
      streams.forget(ended.id);
      this.#owners.dsEnded(ended.id);
    });
    nodes.onLease((held) => {
      if (held) this.#owners.soon();
    });
    this.#timers = new Timers((where, error) => events.unexpected(where, error));
    this.#timers.every('shared groups', tickMs, () => this.#tick());
    this.#timers.every('owners of shared groups', askMs, () => this.#owners.ask());
    this.#timers.every('queues of shared groups', pollMs, () => this.#poll());
    this.#timers.every('names of shared groups', nameMs, () => {
      this.#owners.name();
      this.#known.forgetUnheard();
    });
    this.#timers.every('holders of shared groups', holdMs, () => this.#owners.hold());
  }

  /** Number of groups that this ds owns. */
  get count(): number {
    return this.#owners.count;
  }

  *owned(): Iterable<OwnedGroupLine> {
    for (const owned of this.#owners.owned) {
      const { line } = owned;
      if (line !== undefined) yield line;
    }
  }

  /**
   * Groups without a member here go to other ds, all groups where nobody is here any more
   * (`isEmpty`); answers how many are still owned.
   */
  handOver(groupsMax: number, isEmpty: boolean): Promise<number> {
    return this.#owners.handOver(groupsMax, isEmpty);
  }

  /** The hand-over is taken back. */
  keep(): void {
    this.#owners.keep();
  }

  /** Before the nodes of the registry stop. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await within(this.#timers.stop(), stopMsMax);
    await within(this.#owners.stop(), stopMsMax);
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
    const home = this.#known.meet(entered.group.id, name, queue.id);
    home.pins += 1;
    if (!entered.made) return home;
    // Whoever publishes from now on finds it.
    await this.#owners.ask();
    const owned = this.#owners.get(home.id);
    if (owned !== undefined) await within(owned.announced, announcedMsMax);
    return home;
  }

  unpin(group: { readonly id: GroupId }): void {
    const home = this.#known.get(group.id);
    if (home !== undefined) home.pins -= 1;
  }

  /** The record of a group is in the store, whether or not this ds has heard of it. */
  has(): boolean {
    return true;
  }

  join(session: LiveSession, { group, filter, queue }: StoredSubscription): void {
    const home = this.#meet(group!, filter, queue);
    const member = this.#reports.add(session, home, filter);
    if (member === undefined) return;
    if (home.pins === 0) void this.#enter(home, session.stored);
    this.#joinDue(member);
  }

  restoreOut(session: LiveSession): void {
    const ours = this.#reports.session(session);
    if (ours === undefined) return;
    ours.consumed = 0;
    for (const member of ours.members.values()) {
      member.consumed = 0;
      member.countedFrom = 0;
      member.fresh = false;
      this.#joinDue(member);
    }
  }

  rightsChanged(session: LiveSession): void {
    const { clientId: client, epoch } = session;
    const rights = this.#ports.rights.of(session)?.text;
    for (const { group: home } of this.#reports.session(session)?.members.values() ?? [])
      this.#tell(home, { kind: 'rights', group: home.id, client, epoch, rights });
  }

  disconnect(session: LiveSession): void {
    const { clientId: client, epoch, stored } = session;
    for (const { group: home } of this.#reports.end(session)) {
      const group = home.id;
      this.#tell(home, { kind: 'left', group, client, epoch, outs: outsOf(stored, group) });
    }
  }

  leave(stored: StoredSession, { filter, queue, group }: StoredSubscription): void {
    const home = this.#meet(group!, filter, queue);
    const { clientId: client, epoch, removed } = stored;
    const member = home.members.get(client);
    if (member?.session.stored === stored) this.#reports.remove(member);
    // A session that goes on completes what it has begun [MQTT-3.10.4-3]; what one that ended had
    // at QoS 2 goes to nobody else [MQTT-4.8.2-5].
    const places = outsOf(stored, home.id)
      .filter(({ qos }) => !removed || qos === 2)
      .map(placeOf);
    if (places.length > 0) this.#ports.groupStore.done(home.id, places);
    if (removed)
      for (let given = places.length; given > 0; given -= 1)
        this.#ports.events.groupMessageGivenUp(home.name);
    this.#tell(home, { kind: 'leave', group: home.id, client, epoch, places });
    void this.#leave(home, client, epoch);
  }

  write(session: LiveSession, write: SessionWrite): void {
    if (write.kind === 'assigned-done') {
      const { group, partition, offset } = write;
      this.#reports.consumed(session, group, 1);
      this.#done(group, { partition, offset }, false);
      return;
    }
    if (write.kind === 'fenced') {
      this.#fenced(session, write.group, write.number, write.letGo);
      return;
    }
    if (write.kind === 'done') {
      const out = session.stored.outboundOf(write.packetId);
      if (out?.place.kind !== 'group') return;
      if (write.failed) void this.#bury(session.clientId, out);
      else this.#acknowledged(out);
      return;
    }
    if (write.kind !== 'sent' || write.place.kind !== 'group') return;
    const { group } = write.place;
    this.#reports.consumed(session, group, 1);
    // No store knows it otherwise, and it is not to go to another [MQTT-4.8.2-5].
    if (write.qos === 2 && !session.stored.persistent)
      this.#ports.groupStore.done(group, [placeOf(write.place)]);
  }

  behindWrites(durable: () => void): () => void {
    const settled = this.#ports.groupStore.settled();
    if (settled === undefined && this.#durables.length === 0) return durable;
    const waiting = { left: settled === undefined ? 1 : 2, durable };
    this.#durables.push(waiting);
    const one = (): void => {
      waiting.left -= 1;
      while (this.#durables[0]?.left === 0) this.#durables.shift()!.durable();
    };
    void settled?.then(one);
    return one;
  }

  credit(session: LiveSession, messagesTotal: number): void {
    const ours = this.#reports.session(session);
    if (ours === undefined) {
      session.givenMax = Math.max(session.givenMax, messagesTotal);
      return;
    }
    ours.credited(session, messagesTotal);
    for (const member of ours.members.values()) this.#reports.creditDue(member);
  }

  #meet(id: GroupId, filter: string, queue: QueueId): HomeGroup {
    return this.#known.meet(id, nameOf(filter), queue);
  }

  #acknowledged({ place, qos }: OutboundState): void {
    if (place.kind !== 'group') return;
    if (qos === 2) this.#ports.groupStore.done(place.group, [placeOf(place)]);
    this.#done(place.group, placeOf(place), qos === 2);
  }

  /** The group goes past a message that was refused when that is a dead letter. */
  async #bury(clientId: ClientId, out: OutboundState): Promise<void> {
    const { place, filter } = out;
    if (place.kind !== 'group') return;
    const { queue, partition, offset } = place;
    await this.#ports.undelivered(clientId, { ...refused(filter), queue, partition, offset });
    this.#acknowledged(out);
  }

  #done(group: GroupId, place: GroupPlace, marked: boolean): void {
    const home = this.#known.get(group);
    if (home === undefined || place.offset < 0) return;
    this.#tell(home, { kind: 'done', group, marked, places: [place] });
  }

  /** The answer to a fence: all that the session sent before is known here. */
  #fenced(session: LiveSession, group: GroupId, fence: number, dropped: number): void {
    this.#reports.consumed(session, group, dropped);
    const ours = this.#reports.session(session);
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
      this.#owners.soon();
    } else this.#streams.send(home.owner, item);
  }

  #joinDue(member: HomeMember): void {
    const { owner } = member.group;
    if (owner === undefined) this.#owners.soon();
    else this.#reports.joinDue(member, owner);
  }

  /** The member entered by a SUBSCRIBE; if that was taken back, it enters again. */
  async #enter({ name, queue }: HomeGroup, stored: StoredSession): Promise<void> {
    const { clientId: member, epoch } = stored;
    await this.#untilStored(async () => {
      await this.#ports.groupStore.enter({ name, queue, member, epoch, cursors: undefined });
    });
  }

  async #leave(home: HomeGroup, client: ClientId, epoch: number): Promise<void> {
    let tries = 0;
    await this.#untilStored(async () => {
      tries += 1;
      if (tries > 1 && home.members.has(client)) return;
      if (!(await this.#ports.groupStore.leave(home.id, client, epoch))) return;
      this.#owners.unhold(home);
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
        await idlePause(retryMs);
      }
    }
  }

  #everything(to: NodeId, items: GroupItem[]): void {
    for (const home of this.#known.homes) {
      if (home.owner !== to) continue;
      for (const member of home.members.values()) this.#reports.joinDue(member, to);
    }
    for (const owned of this.#owners.owned) {
      const item = this.#owners.itemOf(owned);
      if (item !== undefined) items.push(item);
    }
  }

  #tick(): void {
    for (const owned of [...this.#owners.owned]) owned.tick();
    this.#streams.beat();
    this.#flush();
  }

  #poll(): void {
    for (const owned of this.#owners.owned) owned.poll();
    this.#flush();
  }

  #flush(): void {
    for (const outlet of this.#ports.outlets.values()) outlet.flush();
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

async function within(work: Promise<void>, ms: number): Promise<void> {
  await Promise.race([work, idlePause(ms)]);
}
