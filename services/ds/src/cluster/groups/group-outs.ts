import { idlePause } from '@lmqtt/common/pause';
import type { ClientId } from '@lmqtt/common/ids';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { GroupPlace } from '../../group-store/cluster-group-store.ts';
import type { SharedGroup } from '../../routing/shared-group.ts';
import type { GroupProgress } from './group-progress.ts';
import type { OwnedMember } from './owned-member.ts';

const retryMs = 500;

/**
 * Messages of an owned group that its members have, and those that are done. A message that was
 * given to a member goes to another only when the first cannot send it any more, and the store does
 * not have it as done.
 */
export class GroupOuts {
  readonly shared: SharedGroup<ClientId, OwnedMember>;
  readonly progress: GroupProgress;
  readonly #gone: () => void;

  /** `gone`: the store knows the group no more. */
  constructor(
    shared: SharedGroup<ClientId, OwnedMember>,
    progress: GroupProgress,
    gone: () => void,
  ) {
    this.shared = shared;
    this.progress = progress;
    this.#gone = gone;
  }

  done(places: readonly GroupPlace[], isMarked: boolean): void {
    for (const place of places) {
      if (place.offset < 0) continue;
      this.shared.done(place.partition, place.offset);
      this.progress.done(place, isMarked);
    }
  }

  /** Takes what is done from the store. False: it does not answer, or the group is over. */
  async refreshDone(): Promise<boolean> {
    const read = await this.progress.read();
    if (read === 'gone') this.#gone();
    if (this.shared.closed || read === 'gone' || read === 'no answer') return false;
    this.done(read, true);
    return true;
  }

  /** The member has these, whoever they were given to. */
  restore(member: OwnedMember, outs: readonly MemberOut[]): void {
    for (const { partition, offset } of outs) {
      const holder = this.shared.holderOf(partition, offset);
      if (holder === member) continue;
      if (this.progress.isDone({ partition, offset })) continue;
      if (holder !== undefined) this.shared.settle(partition, offset);
      this.shared.restoreOut(member, partition, offset);
    }
  }

  /** The member is no more: what it had sent was lost, the rest it has never had. */
  lose(member: OwnedMember): void {
    const sent = new Set(member.sent.map(({ partition, offset }) => `${partition} ${offset}`));
    for (const { partition, offset } of this.shared.outOf(member)) {
      if (sent.has(`${partition} ${offset}`)) this.shared.lost(partition, offset);
      else this.shared.takeBack(partition, offset);
    }
  }

  /**
   * The member has exactly these: whatever else it was given goes to others, unless it is done.
   * Undefined: at once. False: something else was heard of it meanwhile.
   */
  settle(member: OwnedMember, outs: readonly MemberOut[]): Promise<boolean> | undefined {
    this.restore(member, outs);
    const known = new Set(outs.map(({ partition, offset }) => `${partition} ${offset}`));
    const isOpen = (one: GroupPlace): boolean => !known.has(`${one.partition} ${one.offset}`);
    if (!this.shared.outOf(member).some(isOpen)) return undefined;
    return this.#takeBack(member, isOpen);
  }

  /**
   * The member is one no more: what it was given goes to others, unless it is done. What it said of
   * that may be on its way still, and the store knows. False: the group is over.
   */
  async takeBackAll(member: OwnedMember): Promise<boolean> {
    const { shared } = this;
    if (shared.outOf(member).length === 0) return true;
    if (!(await this.#readDone())) return false;
    this.lose(member);
    return true;
  }

  /** False: the group is over. */
  async #readDone(): Promise<boolean> {
    while (!(await this.refreshDone())) {
      if (this.shared.closed) return false;
      await idlePause(retryMs);
    }
    return true;
  }

  async #takeBack(member: OwnedMember, isOpen: (one: GroupPlace) => boolean): Promise<boolean> {
    const { shared } = this;
    const { state } = member;
    if (!(await this.#readDone())) return false;
    if (member.state !== state || shared.members.get(member.key) !== member) return false;
    for (const out of shared.outOf(member))
      if (isOpen(out)) shared.takeBack(out.partition, out.offset);
    return true;
  }
}
