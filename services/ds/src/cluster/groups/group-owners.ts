import { type ClientId, type GroupId, type NodeId, queueName } from '@lmqtt/common/ids';
import type { Clock } from '@lmqtt/common/clock';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { DsEvents } from '../../events.ts';
import type { AbsentMembers } from '../../group-store/absent-members.ts';
import { type ClusterGroupStore, groupThing } from '../../group-store/cluster-group-store.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { QueueStore } from '../../queue-store/queue-store.ts';
import type { Nodes } from '../../registry/nodes.ts';
import type { Ownership } from '../../registry/ownership.ts';
import type { Undelivered } from '../../use-cases/dead-letters.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import type { RouteLog } from '../../registry/route-log.ts';
import type { Routes } from '../../routing/routes.ts';
import type { GroupStreams } from './group-streams.ts';
import type { HomeGroup } from './home-group.ts';
import type { KnownGroups } from './known-groups.ts';
import type { MemberReports } from './member-reports.ts';
import type { GroupItem } from './messages.ts';
import { OwnedGroup, type OwnedGroupPorts } from './owned-group.ts';

export interface GroupOwnersPorts {
  readonly self: NodeId;
  readonly groupStore: ClusterGroupStore;
  readonly absentMembers: AbsentMembers;
  readonly ownership: Ownership;
  readonly nodes: Nodes;
  readonly routeLog: RouteLog;
  readonly routes: Routes;
  readonly queueStore: QueueStore;
  /** By cs. */
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly events: DsEvents;
  readonly clock: Clock;
  readonly readMessages: number;
  readonly retryIntervalMs: number;
  readonly triesMax: number;
  /** Resolves when the message is a dead letter, or is not to be. */
  undelivered(clientId: ClientId, message: Undelivered): Promise<void>;
  readonly rights: SessionRights;
  readonly streams: GroupStreams;
  readonly known: KnownGroups;
  readonly reports: MemberReports;
}

/**
 * Which ds owns which group. Every ds with a member asks for its groups, now and then and when an
 * owner has ended: whoever asks first is the next.
 */
export class GroupOwners {
  readonly #ports: GroupOwnersPorts;
  readonly #owned = new Map<GroupId, OwnedGroup>();
  #asking: Promise<void> | undefined;
  #askAgain = false;
  readonly #asker: OnceATurn = new OnceATurn(() => void this.ask());
  #stopped = false;
  /** Groups that go to other ds: those without a member here, or all. */
  #handsOver: 'none' | 'memberless' | 'all' = 'none';

  constructor(ports: GroupOwnersPorts) {
    this.#ports = ports;
  }

  get count(): number {
    return this.#owned.size;
  }

  get owned(): Iterable<OwnedGroup> {
    return this.#owned.values();
  }

  get(id: GroupId): OwnedGroup | undefined {
    return this.#owned.get(id);
  }

  /** Groups that this ds owned go to another ds, with their positions. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const owned = [...this.#owned.values()];
    await Promise.all(owned.map((one) => one.save()));
    for (const one of owned) one.close(false);
    await this.#ports.ownership.release(owned.map(({ id }) => groupThing(id))).catch(() => {});
  }

  /**
   * Groups without a member here go to another ds, with their positions, at most so many of them
   * now; no other such group is owned from now on. `isEmpty`: members that are still known here have
   * gone. Answers how many are still owned.
   */
  async handOver(groupsMax: number, isEmpty: boolean): Promise<number> {
    this.#handsOver = isEmpty ? 'all' : 'memberless';
    const { known, ownership } = this.#ports;
    const some = [...this.#owned.values()]
      .filter(({ id }) => isEmpty || (known.get(id)?.members.size ?? 0) === 0)
      .slice(0, groupsMax);
    await Promise.all(some.map((one) => one.save()));
    for (const one of some) one.close(false);
    if (some.length > 0) await ownership.release(some.map(({ id }) => groupThing(id)));
    return this.#owned.size;
  }

  /** This ds owns groups again as any other. */
  keep(): void {
    this.#handsOver = 'none';
    this.soon();
  }

  /** Resolves when it is known who owns what was wanted when this was called. */
  ask(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#asking !== undefined) {
      this.#askAgain = true;
      return this.#asking;
    }
    this.#asking = this.#askOnce()
      .catch((error: unknown) => this.#ports.events.unexpected('shared groups', error))
      .then(() => {
        this.#asking = undefined;
        if (!this.#askAgain) return undefined;
        this.#askAgain = false;
        return this.ask();
      });
    return this.#asking;
  }

  soon(): void {
    this.#asker.soon();
  }

  set(home: HomeGroup, owner: NodeId, epoch: number): void {
    if (home.owner === owner && home.ownerEpoch === epoch) return;
    const { streams, reports } = this.#ports;
    home.owner = owner;
    home.ownerEpoch = epoch;
    for (const item of home.takePending()) streams.send(owner, item);
    for (const member of home.members.values()) reports.joinDue(member, owner);
  }

  lost(home: HomeGroup): void {
    home.owner = undefined;
    this.soon();
  }

  dsEnded(ds: NodeId): void {
    for (const owned of this.#owned.values()) owned.dsEnded(ds);
    const homes = this.#ports.known.homes.filter(({ owner }) => owner === ds);
    for (const home of homes) home.owner = undefined;
    if (homes.length > 0) void this.ask();
  }

  /** To all ds: the groups that this one owns. */
  name(): void {
    const { nodes, self } = this.#ports;
    for (const id of nodes.aliveDs) if (id !== self) this.nameTo(id);
  }

  nameTo(ds: NodeId): void {
    this.#ports.streams.send(ds, { kind: 'owns', groups: [...this.#owned.keys()] });
  }

  itemOf(owned: OwnedGroup): GroupItem | undefined {
    const home = this.#ports.known.get(owned.id);
    if (home === undefined) return undefined;
    const { name, queue } = home;
    return { kind: 'owner', group: owned.id, name, queue, ownerEpoch: owned.epoch };
  }

  /** The group no longer holds its queue. */
  unhold({ queue, name }: HomeGroup): void {
    this.#ports.routeLog.release(queue, `$share/${name}`);
  }

  /** The queues of groups are held by them, whoever thought that one was no more. */
  hold(): Promise<void> {
    const homes = [...this.#owned.keys()].map((id) => this.#ports.known.get(id));
    return this.#holdAll(homes.filter((home) => home !== undefined));
  }

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

  async #askOnce(): Promise<void> {
    const { ownership, self, known } = this.#ports;
    if (this.#handsOver === 'all') return;
    const isGiving = this.#handsOver === 'memberless';
    const wanted = known.homes.filter(
      ({ id, members, pins, owner }) =>
        members.size > 0 || (!isGiving && (pins > 0 || owner === undefined || this.#owned.has(id))),
    );
    if (wanted.length === 0) return;
    const owners = await ownership.acquire(wanted.map(({ id }) => groupThing(id)));
    if (this.#stopped) return;
    for (const [index, home] of wanted.entries()) {
      const { owner, epoch } = owners[index]!;
      const owned = this.#owned.get(home.id);
      if (owned !== undefined && (owner !== self || owned.epoch !== epoch)) owned.close(false);
      if (known.get(home.id) !== home) continue;
      if (owner === self && !this.#owned.has(home.id)) this.#own(home, epoch);
      this.set(home, owner, epoch);
    }
  }

  #own(home: HomeGroup, epoch: number): void {
    const ports = this.#ports;
    const group: OwnedGroupPorts = {
      groupStore: ports.groupStore,
      absentMembers: ports.absentMembers,
      ownership: ports.ownership,
      queueStore: ports.queueStore,
      outlets: ports.outlets,
      readMessages: ports.readMessages,
      retryIntervalMs: ports.retryIntervalMs,
      triesMax: ports.triesMax,
      undelivered: (clientId, message) => ports.undelivered(clientId, message),
      rights: ports.rights,
      monotonicMs: () => ports.clock.monotonicMs(),
      mayGive: () => ports.clock.monotonicMs() < ports.nodes.leaseEndsMs,
      otherDs: async () => {
        const lines = await ports.nodes.list();
        return lines
          .filter(({ id, role, state }) => role === 'ds' && state !== 'gone' && id !== ports.self)
          .map(({ id }) => id);
      },
      isAlive: (ds) => ds === ports.self || ports.nodes.aliveDs.has(ds),
      announce: (owned, ds) => {
        const item = this.itemOf(owned);
        if (item !== undefined) for (const to of ds) ports.streams.send(to, item);
      },
      flush: () => {
        for (const outlet of ports.outlets.values()) outlet.flush();
      },
      readFailed: (stored, error) => ports.events.groupReadFailed(stored, error),
      givenUp: (stored) => ports.events.groupMessageGivenUp(stored.name),
      failed: (where, error) => ports.events.unexpected(where, error),
      over: (owned, isGone) => this.#over(owned, isGone),
    };
    this.#owned.set(home.id, new OwnedGroup(home.id, epoch, group));
    void this.#holdAll([home]);
  }

  #over(owned: OwnedGroup, isGone: boolean): void {
    const { known, nodes, ownership, self, streams } = this.#ports;
    if (this.#owned.get(owned.id) === owned) this.#owned.delete(owned.id);
    const home = known.get(owned.id);
    if (home === undefined || this.#stopped) return;
    if (!isGone) {
      if (home.owner === self) this.lost(home);
      return;
    }
    this.unhold(home);
    known.forget(home.id);
    for (const id of nodes.aliveDs)
      if (id !== self) streams.send(id, { kind: 'gone', group: home.id });
    ownership.release([groupThing(home.id)]).catch(() => {});
  }
}
