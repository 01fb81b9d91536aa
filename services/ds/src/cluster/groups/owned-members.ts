import type { ClientId, GroupId, NodeId } from '@lmqtt/common/ids';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import { AbsentLooks, type AbsentLooksPorts } from './absent-looks.ts';
import type { GroupOuts } from './group-outs.ts';
import type { GroupItem, Join } from './messages.ts';
import { noFence, OwnedMember } from './owned-member.ts';

interface OwnedMembersPorts extends AbsentLooksPorts {
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly rights: Pick<SessionRights, 'ofText'>;
  /** Sends the messages that were assigned. */
  flush(): void;
}

const refenceMs = 1000;

/**
 * The members of an owned group: what their homes say of them, and fences where it is not known
 * what they have. A fence asks the cs of a member to let go of what it was given and has not sent,
 * and to say what it has sent; whatever else the member was given goes to others.
 */
export class OwnedMembers {
  readonly outs: GroupOuts;
  readonly #group: GroupId;
  readonly #epoch: number;
  readonly #ports: OwnedMembersPorts;
  readonly #absent: AbsentLooks;
  /** Numbers all of this epoch. */
  #lastFence = noFence;

  constructor(group: GroupId, epoch: number, outs: GroupOuts, ports: OwnedMembersPorts) {
    this.#group = group;
    this.#epoch = epoch;
    this.outs = outs;
    this.#ports = ports;
    this.#absent = new AbsentLooks(group, outs, ports, {
      settle: (member, sent) => this.#reconcile(member, sent, () => {}),
      pump: () => this.#pump(),
    });
  }

  /** When members are to be tended next, if not in their turn. */
  get soonMs(): number {
    return this.#absent.soonMs;
  }

  /** Members of the group as the store has them, of which nothing else is known. */
  addKnown(known: ReadonlyMap<ClientId, number>): void {
    const { members } = this.outs.shared;
    for (const [client, epoch] of known)
      if (!members.has(client)) members.set(client, new OwnedMember(client, epoch));
  }

  take(from: NodeId, item: GroupItem): void {
    if (item.kind === 'join') {
      this.#join(from, item);
      return;
    }
    if (item.kind === 'leave') {
      this.#leave(item);
      return;
    }
    if (!('client' in item)) return;
    const member = this.outs.shared.members.get(item.client);
    if (member === undefined || member.epoch !== item.epoch) return;
    switch (item.kind) {
      case 'left':
        // The member's home may have changed since.
        if (member.home === from) this.#left(member, item.outs);
        break;
      case 'rights':
        member.rights = this.#ports.rights.ofText(item.rights);
        this.outs.shared.reconsider();
        break;
      case 'credit':
        if (member.home === from) member.credit(item.total);
        break;
      case 'fenced': {
        const outlet = member.answered(from, item.fence);
        if (outlet === undefined) break;
        void this.#reconcile(member, item.outs, () => member.sit(outlet, item.credit));
        break;
      }
      default:
        break;
    }
  }

  beginning(from: NodeId): void {
    for (const member of this.#all) if (member.home === from) member.stale();
  }

  begun(from: NodeId): void {
    for (const member of this.#all) if (member.home === from && member.isStale) this.#doubt(member);
  }

  dsEnded(ds: NodeId): void {
    for (const member of this.#all) if (member.home === ds) this.#doubt(member);
  }

  /** It is known what members have; `isLate`: of those that do not say it nothing is waited for. */
  areKnown(isLate: boolean): boolean {
    for (const member of this.#all)
      if (member.isInDoubt || (member.isUnfenced && !isLate)) return false;
    return true;
  }

  tend(nowMs: number): void {
    this.#absent.soonMs = Infinity;
    for (const member of this.#all) this.#tend(member, nowMs);
  }

  lookAtAll(): void {
    this.#absent.lookAtAll();
  }

  /** Members that nobody has told of are found in the store. */
  async look(): Promise<void> {
    if (await this.outs.refreshDone()) this.addKnown(this.outs.progress.members);
  }

  /** Gives the messages that there are, and looks for those that absent members could spare. */
  goOn(): void {
    this.#absent.takeBack();
    this.#pump();
  }

  get #all(): Iterable<OwnedMember> {
    return this.outs.shared.members.values();
  }

  #pump(): void {
    this.outs.shared.pump();
    this.#ports.flush();
  }

  #join(from: NodeId, join: Join): void {
    const { outs } = this;
    const { members } = outs.shared;
    let member = members.get(join.client);
    if (member !== undefined && member.epoch > join.epoch) return;
    if (member === undefined) {
      member = new OwnedMember(join.client, join.epoch);
      members.set(join.client, member);
    }
    const joined = member;
    joined.joined(from, join, this.#ports.monotonicMs());
    joined.rights = this.#ports.rights.ofText(join.rights);
    const outlet = this.#ports.outlets.get(join.cs);
    if (!join.fresh || outlet === undefined) {
      outs.restore(joined, join.outs);
      if (outlet !== undefined) this.#fence(joined, outlet);
      return;
    }
    void this.#reconcile(joined, join.outs, () => joined.sit(outlet, join.credit));
  }

  #leave({ client, epoch, places }: GroupItem & { readonly kind: 'leave' }): void {
    const { outs } = this;
    const { shared } = outs;
    outs.done(places, true);
    const member = shared.members.get(client);
    if (member === undefined || member.epoch > epoch) return;
    shared.members.delete(client);
    void this.#takeBack(member);
    shared.reconsider();
  }

  /** It is a member no more. */
  async #takeBack(member: OwnedMember): Promise<void> {
    if (await this.outs.takeBackAll(member)) this.#pump();
  }

  /** Its connection ended, and this is what it had sent. */
  #left(member: OwnedMember, outs: readonly MemberOut[]): void {
    member.absent(outs);
    this.#absent.soon(member);
    void this.#reconcile(member, outs, () => {});
  }

  #doubt(member: OwnedMember): void {
    member.doubt();
    this.#absent.soon(member);
  }

  /** The cs is to say what of that which it was given has gone out. */
  #fence(member: OwnedMember, outlet: Outlet): void {
    const number = this.#lastFence + 1;
    const session = member.fence(outlet, number, this.#ports.monotonicMs());
    if (session === undefined) return;
    this.#lastFence = number;
    outlet.fence({ session, group: this.#group, epoch: this.#epoch, number });
  }

  /** It has exactly these. Then `next`, unless something else was heard of it. */
  async #reconcile(
    member: OwnedMember,
    outs: readonly MemberOut[],
    next: () => void,
  ): Promise<void> {
    const settling = this.outs.settle(member, outs);
    if (settling !== undefined && !(await settling)) return;
    next();
    this.outs.shared.reconsider();
    this.goOn();
  }

  #tend(member: OwnedMember, nowMs: number): void {
    const { cs } = member;
    if (cs === undefined) {
      this.#absent.tend(member, nowMs);
      return;
    }
    const outlet = this.#ports.outlets.get(cs);
    member.reachedBy(outlet);
    const { state } = member;
    if (outlet === undefined || (state.kind !== 'joined' && state.kind !== 'fenced')) return;
    const isDue = state.askedAtMs + refenceMs <= nowMs;
    if (isDue || (state.kind === 'fenced' && state.outlet !== outlet)) this.#fence(member, outlet);
  }
}
