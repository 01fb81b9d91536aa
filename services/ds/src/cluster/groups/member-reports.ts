import { csOfLane, type GroupId, type NodeId } from '@lmqtt/common/ids';
import type { LiveSession } from '../../sessions/live-session.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import { type HomeGroup, type HomeMember, HomeSession, outsOf } from './home-group.ts';
import type { GroupItem } from './messages.ts';

/**
 * The connected members that live here, and what owners are to be told of them when the turn ends:
 * each at most once a turn, as it stands then.
 */
export class MemberReports {
  readonly #sessions = new Map<LiveSession, HomeSession>();
  readonly #joins = new Map<NodeId, Set<HomeMember>>();
  readonly #credits = new Map<NodeId, Set<HomeMember>>();
  readonly #heres = new Map<NodeId, Map<GroupId, number>>();
  /** Something is due for that ds. */
  readonly #wake: (owner: NodeId) => void;

  readonly #rights: SessionRights;

  constructor(rights: SessionRights, wake: (owner: NodeId) => void) {
    this.#rights = rights;
    this.#wake = wake;
  }

  session(session: LiveSession): HomeSession | undefined {
    return this.#sessions.get(session);
  }

  /** undefined: it is a member already. */
  add(session: LiveSession, group: HomeGroup, filter: string): HomeMember | undefined {
    let ours = this.#sessions.get(session);
    if (ours === undefined) this.#sessions.set(session, (ours = new HomeSession()));
    if (ours.members.has(group.id)) return undefined;
    const fresh = !ours.joined.has(group.id);
    const member = { session, group, filter, fresh, consumed: 0, countedFrom: 0 };
    ours.members.set(group.id, member);
    ours.joined.add(group.id);
    group.members.set(session.clientId, member);
    return member;
  }

  remove(member: HomeMember): void {
    const { group, session } = member;
    this.#sessions.get(session)?.members.delete(group.id);
    if (group.members.get(session.clientId) === member) group.members.delete(session.clientId);
  }

  /** The session's connection ended; answers its memberships. */
  end(session: LiveSession): HomeMember[] {
    const members = [...(this.#sessions.get(session)?.members.values() ?? [])];
    for (const member of members) this.remove(member);
    this.#sessions.delete(session);
    return members;
  }

  /** The session has gone on with so many stored messages of the group. */
  consumed(session: LiveSession, group: GroupId, messages: number): void {
    const ours = this.#sessions.get(session);
    if (ours === undefined) return;
    ours.consumed += messages;
    const member = ours.members.get(group);
    if (member !== undefined) member.consumed += messages;
  }

  joinDue(member: HomeMember, owner: NodeId): void {
    addTo(this.#joins, owner, member);
    this.#wake(owner);
  }

  creditDue(member: HomeMember): void {
    const { owner } = member.group;
    if (owner === undefined) return;
    addTo(this.#credits, owner, member);
    this.#wake(owner);
  }

  /** All members of the group that live here, and that these are all. */
  hereDue(group: HomeGroup, owner: NodeId, ownerEpoch: number): void {
    for (const member of group.members.values()) addTo(this.#joins, owner, member);
    let heres = this.#heres.get(owner);
    if (heres === undefined) this.#heres.set(owner, (heres = new Map()));
    heres.set(group.id, ownerEpoch);
    this.#wake(owner);
  }

  /** Takes what is due. */
  gather(to: NodeId, items: GroupItem[]): void {
    const joins = this.#joins.get(to);
    const credits = this.#credits.get(to);
    const heres = this.#heres.get(to);
    this.#joins.delete(to);
    this.#credits.delete(to);
    this.#heres.delete(to);
    for (const member of joins ?? []) {
      const { session, group } = member;
      if (group.owner !== to || group.members.get(session.clientId) !== member) continue;
      credits?.delete(member);
      items.push(this.#joinOf(member));
    }
    for (const [group, ownerEpoch] of heres ?? []) items.push({ kind: 'here', group, ownerEpoch });
    for (const member of credits ?? []) {
      const { session, group } = member;
      const total = this.#sessions.get(session)?.creditOf(member);
      if (group.owner !== to || total === undefined) continue;
      const { clientId: client, epoch } = session;
      items.push({ kind: 'credit', group: group.id, client, epoch, total });
    }
  }

  #joinOf(member: HomeMember): GroupItem {
    const { session, group, filter, fresh } = member;
    const { clientId: client, epoch, handle, node, stored } = session;
    member.fresh = false;
    member.countedFrom = member.consumed;
    return {
      kind: 'join',
      group: group.id,
      client,
      epoch,
      cs: csOfLane(node.id),
      handle,
      filter,
      rights: this.#rights.of(session)?.text,
      fresh,
      credit: this.#sessions.get(session)?.creditOf(member) ?? 0,
      outs: outsOf(stored, group.id),
    };
  }
}

function addTo(map: Map<NodeId, Set<HomeMember>>, owner: NodeId, member: HomeMember): void {
  const known = map.get(owner);
  if (known === undefined) map.set(owner, new Set([member]));
  else known.add(member);
}
