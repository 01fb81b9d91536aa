import { type ClientId, type GroupId, sessionHandle } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { DsEvents } from '../events.ts';
import type { GroupStore, StoredGroup } from '../group-store/group-store.ts';
import type { OwnedGroupLine } from '../use-cases/group-lines.ts';
import type { Groups } from '../use-cases/groups.ts';
import type { Holdings } from '../use-cases/holdings.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { refused, type Undelivered, unacknowledged } from '../use-cases/dead-letters.ts';
import type { Queue } from '../routing/routes.ts';
import { Cursor } from '@lmqtt/common/cursor';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { SessionRights } from '../use-cases/session-rights.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';
import type { GroupMember, GroupPorts } from '../routing/group-member.ts';
import { SharedGroup } from '../routing/shared-group.ts';

/** A write that no connection makes. */
const noHandle = sessionHandle(0);

class Member implements GroupMember<StoredSession> {
  readonly key: StoredSession;
  subscription: StoredSubscription;
  inFlight = 0;
  readonly #rights: SessionRights;
  #seat: LiveSession | undefined = undefined;
  /** The member's connection, or the last one that it had. */
  #last: LiveSession | undefined = undefined;

  constructor(key: StoredSession, subscription: StoredSubscription, rights: SessionRights) {
    this.key = key;
    this.subscription = subscription;
    this.#rights = rights;
  }

  /** undefined: absent. */
  get seat(): LiveSession | undefined {
    return this.#seat;
  }

  set seat(session: LiveSession | undefined) {
    this.#seat = session;
    this.#last = session ?? this.#last;
  }

  get rights(): ReadRights | undefined {
    return this.#last && this.#rights.of(this.#last);
  }

  get filter(): string {
    return this.subscription.filter;
  }

  get clientId(): ClientId {
    return this.key.clientId;
  }
}

type LocalGroup = SharedGroup<StoredSession, Member>;

interface OpenGroup {
  readonly group: LocalGroup;
  readonly queue: Queue;
  /** Subscribes under way. */
  pins: number;
}

interface LocalGroupsPorts {
  readonly groupStore: GroupStore;
  readonly sessionStore: SessionStore;
  readonly queueStore: QueueStore;
  readonly holdings: Holdings;
  readonly events: DsEvents;
  readonly rights: SessionRights;
  readonly group: Omit<GroupPorts, 'skip' | 'giveUp'>;
  /** Resolves when the message is a dead letter, or is not to be. */
  undelivered(clientId: ClientId, message: Undelivered): Promise<void>;
}

/**
 * The groups that this ds owns. What a lost member had at QoS 1 goes to the others as soon as one
 * of them is connected, and stays with it while it is the last; QoS 2 stays with its session until
 * that ends, and is then given up. A group lives while it has members.
 */
export class LocalGroups implements Groups {
  readonly #ports: LocalGroupsPorts;
  readonly #group: GroupPorts;
  readonly #byName = new Map<string, OpenGroup>();
  readonly #byId = new Map<GroupId, OpenGroup>();
  /** Memberships of connected sessions. */
  readonly #memberships = new Map<LiveSession, Map<LocalGroup, Member>>();
  readonly #opening = new Map<string, Promise<OpenGroup>>();
  /** Not at start, when not all members may be known yet. */
  #settled = false;

  constructor(ports: LocalGroupsPorts) {
    this.#ports = ports;
    this.#group = {
      ...ports.group,
      skip: (group, partition, offset) => this.#done(group.id, partition, offset),
      giveUp: ({ id, queue }, { clientId, filter, partition, offset, tries }) => {
        const place = { queue, partition, offset };
        void this.#bury(id, clientId, { ...unacknowledged(filter, tries), ...place });
      },
    };
  }

  get count(): number {
    return this.#byId.size;
  }

  *owned(): Iterable<OwnedGroupLine> {
    for (const { group } of this.#byId.values())
      yield { stored: group.stored, members: group.memberLines };
  }

  async open(groupName: string, queue: Queue): Promise<LocalGroup> {
    const name = `${groupName}/${queue.name}`;
    let open = this.#byName.get(name);
    if (open === undefined) {
      const opening = this.#opening.get(name) ?? this.#make(name, queue);
      this.#opening.set(name, opening);
      open = await opening.finally(() => this.#opening.delete(name));
    }
    open.pins += 1;
    return open.group;
  }

  unpin(group: { readonly id: GroupId }): void {
    const open = this.#byId.get(group.id);
    if (open === undefined) return;
    open.pins -= 1;
    this.#closeIfEmpty(open);
  }

  /** At start, before {@link restoreMember}. */
  restore(stored: StoredGroup, queue: Queue): void {
    this.#add(stored, queue).group.start();
  }

  /** At start: a stored session that is a member. */
  restoreMember(session: StoredSession, subscription: StoredSubscription): void {
    const open = this.#byId.get(subscription.group!);
    if (open === undefined) return;
    const member = new Member(session, subscription, this.#ports.rights);
    open.group.members.set(session, member);
    for (const { place } of session.outbound)
      if (place.kind === 'group' && place.group === open.group.id)
        open.group.restoreOut(member, place.partition, place.offset);
  }

  has(id: GroupId): boolean {
    return this.#byId.has(id);
  }

  restoreOut(session: LiveSession): void {
    const memberships = this.#memberships.get(session);
    if (memberships === undefined) return;
    for (const { place } of session.stored.outbound) {
      const group = place.kind === 'group' ? this.#byId.get(place.group)?.group : undefined;
      const member = group && memberships.get(group);
      if (group !== undefined && member !== undefined && place.kind === 'group')
        group.restoreOut(member, place.partition, place.offset);
    }
  }

  /**
   * All members are known: from now on a group without members goes, and what absent ones have is
   * taken back from them.
   */
  settle(): void {
    this.#settled = true;
    for (const open of [...this.#byId.values()]) {
      this.#closeIfEmpty(open);
      this.#takeBackFromAbsent(open.group);
    }
  }

  join(session: LiveSession, subscription: StoredSubscription): void {
    const open = this.#byId.get(subscription.group!);
    if (open === undefined) return;
    const { group } = open;
    let member = group.members.get(session.stored);
    if (member === undefined) {
      member = new Member(session.stored, subscription, this.#ports.rights);
      group.members.set(session.stored, member);
    }
    member.subscription = subscription;
    member.seat = session;
    const memberships = this.#memberships.get(session);
    if (memberships === undefined) this.#memberships.set(session, new Map([[group, member]]));
    else memberships.set(group, member);
    group.reconsider();
    this.#takeBackFromAbsent(group);
    group.pump();
    this.#ports.group.flush();
  }

  rightsChanged(session: LiveSession): void {
    for (const group of this.#memberships.get(session)?.keys() ?? []) {
      group.reconsider();
      group.pump();
    }
    this.#ports.group.flush();
  }

  disconnect(session: LiveSession): void {
    const memberships = this.#memberships.get(session);
    if (memberships === undefined) return;
    this.#memberships.delete(session);
    for (const [group, member] of memberships) {
      member.seat = undefined;
      const sent = new Set<string>();
      for (const { place } of session.stored.outbound)
        if (place.kind === 'group' && place.group === group.id)
          sent.add(`${place.partition} ${place.offset}`);
      for (const { partition, offset } of group.outOf(member))
        if (!sent.has(`${partition} ${offset}`)) group.takeBack(partition, offset);
      this.#takeBackFromAbsent(group);
      group.pump();
    }
    this.#ports.group.flush();
  }

  leave(session: StoredSession, subscription: StoredSubscription): void {
    const open = this.#byId.get(subscription.group!);
    const member = open?.group.members.get(session);
    if (open === undefined || member === undefined) return;
    const { group } = open;
    group.members.delete(session);
    if (member.seat !== undefined) this.#memberships.get(member.seat)?.delete(group);
    for (const { place, qos } of session.outbound) {
      if (place.kind !== 'group' || place.group !== group.id) continue;
      // A session that goes on completes what it has begun [MQTT-3.10.4-3]; what one that ended
      // had at QoS 2 goes to nobody else [MQTT-4.8.2-5].
      if (session.removed && qos === 1) continue;
      if (session.removed) this.#ports.events.groupMessageGivenUp(group.stored.name);
      group.settle(place.partition, place.offset);
      this.#ports.groupStore.done(group.stored, place.partition, place.offset);
    }
    for (const { partition, offset } of group.outOf(member)) group.takeBack(partition, offset);
    this.#closeIfEmpty(open);
    group.reconsider();
    group.pump();
    this.#ports.group.flush();
  }

  write(session: LiveSession, write: SessionWrite): void {
    if (write.kind === 'assigned-done') {
      this.#done(write.group, write.partition, write.offset);
      return;
    }
    if (write.kind === 'done') {
      const out = session.stored.outboundOf(write.packetId);
      if (out?.place.kind !== 'group') return;
      const { group, queue, partition, offset } = out.place;
      if (write.failed) {
        this.#byId.get(group)?.group.refused(partition, offset);
        const message = { ...refused(out.filter), queue, partition, offset };
        void this.#bury(group, session.clientId, message);
      } else this.#done(group, partition, offset);
      return;
    }
    if (write.kind !== 'sent' || write.place.kind !== 'group') return;
    const open = this.#byId.get(write.place.group);
    if (open === undefined || write.qos !== 2 || session.stored.persistent) return;
    const { partition, offset } = write.place;
    this.#ports.groupStore.spend(open.group.stored, partition, offset);
  }

  /** Groups are stored with the sessions. */
  behindWrites(durable: () => void): () => void {
    return durable;
  }

  credit(session: LiveSession, messagesTotal: number): void {
    if (messagesTotal <= session.givenMax) return;
    session.givenMax = messagesTotal;
    const memberships = this.#memberships.get(session);
    if (memberships === undefined) return;
    for (const group of memberships.keys()) group.pump();
    this.#ports.group.flush();
  }

  get groups(): Iterable<StoredGroup> {
    return [...this.#byId.values()].map((open) => open.group.stored);
  }

  async #make(name: string, queue: Queue): Promise<OpenGroup> {
    const ends = await this.#ports.queueStore.ends(queue.id);
    const cursors = ends.map((end) => Cursor.at(end.partition, end.end));
    return this.#add(this.#ports.groupStore.make(name, queue.id, cursors), queue);
  }

  /** The group goes past it when it is a dead letter, so that it is not lost before. */
  async #bury(id: GroupId, clientId: ClientId, message: Undelivered): Promise<void> {
    await this.#ports.undelivered(clientId, message);
    this.#done(id, message.partition, message.offset);
    this.#ports.sessionStore.commit();
  }

  #done(id: GroupId, partition: number, offset: number): void {
    const open = this.#byId.get(id);
    if (open === undefined || offset < 0) return;
    open.group.done(partition, offset);
    this.#ports.groupStore.done(open.group.stored, partition, offset);
    open.queue.moved = true;
  }

  /** QoS 1 that absent members have, if somebody else is there to take it. */
  #takeBackFromAbsent(group: LocalGroup): void {
    if (!this.#settled) return;
    const members = [...group.members.values()];
    if (!members.some((member) => member.seat !== undefined)) return;
    for (const member of members)
      if (member.seat === undefined && member.inFlight > 0) this.#takeBack(group, member);
  }

  #takeBack(group: LocalGroup, member: Member): void {
    const stored = member.key;
    for (const { place, packetId, qos } of [...stored.outbound]) {
      if (place.kind !== 'group' || place.group !== group.id || qos !== 1) continue;
      const write = { kind: 'done', session: noHandle, packetId, failed: false } as const;
      this.#ports.sessionStore.write(stored, stored.epoch, write);
      group.lost(place.partition, place.offset);
    }
    this.#ports.sessionStore.commit();
  }

  #add(stored: StoredGroup, queue: Queue): OpenGroup {
    const group: LocalGroup = new SharedGroup(stored, queue.name, this.#group);
    const open = { group, queue, pins: 0 };
    this.#byName.set(stored.name, open);
    this.#byId.set(stored.id, open);
    this.#ports.holdings.addGroup(queue, open.group);
    return open;
  }

  #closeIfEmpty(open: OpenGroup): void {
    const { group, queue } = open;
    if (!this.#settled || open.pins > 0 || group.members.size > 0 || group.closed) return;
    group.closed = true;
    this.#byName.delete(group.stored.name);
    this.#byId.delete(group.id);
    this.#ports.groupStore.remove(group.stored);
    this.#ports.holdings.removeGroup(queue, group);
  }
}
