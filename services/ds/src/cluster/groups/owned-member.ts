import type { ReadRights } from '@lmqtt/common/read-rights';
import type { ClientId, NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { GroupMember, Seat } from '../../routing/shared-group.ts';
import type { Join } from './messages.ts';

class MemberSeat implements Seat {
  given = 0;
  givenMax: number;
  readonly handle: SessionHandle;
  readonly node: Outlet;
  readonly fence: number;

  constructor(handle: SessionHandle, node: Outlet, givenMax: number, fence: number) {
    this.handle = handle;
    this.node = node;
    this.givenMax = givenMax;
    this.fence = fence;
  }
}

/** Less than that of every fence. */
export const noFence = 1;

/**
 * A member as the owner of its group knows it. It gets messages while it is seated: its cs has
 * said, since it was last unknown, what it has sent, and is reached by the same stream still.
 */
export class OwnedMember implements GroupMember<ClientId> {
  readonly key: ClientId;
  /** Epoch of the claim; for a member that has not joined: of the claim by which it entered. */
  epoch: number;
  filter = '';
  /** Its home ds; undefined: it is not known to be connected. */
  home: NodeId | undefined = undefined;
  inFlight = 0;
  /**
   * Rights of the member to read, as its home told them last; undefined: everything, or the member
   * has not joined.
   */
  rights: ReadRights | undefined = undefined;
  /** Messages that it had sent when it was last connected. */
  sent: readonly MemberOut[] = [];
  /** Its home ended without a word: what it has may be done, or not have been sent. */
  inDoubt = false;
  /** Since when the store has it connected at a ds that does not know it. */
  unknownSinceMs: number | undefined = undefined;
  /** When it is to be looked at in the store. */
  lookAtMs = 0;
  /** A fence that is not answered, and when it was sent. */
  fence = 0;
  fencedAtMs = 0;
  /**
   * Set while its home ds resends its full state; still set afterwards means that the home no
   * longer has this member.
   */
  stale = false;
  /** A look at the store is under way. */
  looking = false;
  #join: Join | undefined = undefined;
  #seat: MemberSeat | undefined = undefined;
  #outlet: Outlet | undefined = undefined;
  #lastFence = noFence;

  constructor(key: ClientId, epoch: number) {
    this.key = key;
    this.epoch = epoch;
  }

  get seat(): Seat | undefined {
    const seat = this.#seat;
    return seat !== undefined && seat.node === this.#outlet ? seat : undefined;
  }

  get cs(): NodeId | undefined {
    return this.#join?.cs;
  }

  /** It is connected, and it is not known what it has. */
  get unfenced(): boolean {
    return this.home !== undefined && this.#seat === undefined;
  }

  joined(home: NodeId, join: Join): void {
    this.home = home;
    this.epoch = join.epoch;
    this.filter = join.filter;
    this.inDoubt = false;
    this.stale = false;
    this.fence = 0;
    this.#join = join;
    this.#seat = undefined;
  }

  /** It may be given messages, over that outlet as long as that is the way to its cs. */
  sit(outlet: Outlet, givenMax: number): void {
    this.fence = 0;
    this.#outlet = outlet;
    this.#seat = new MemberSeat(this.#join!.handle, outlet, givenMax, this.#lastFence);
  }

  /** The way to its cs now: another than before may have lost what was given. False: it has. */
  reach(outlet: Outlet | undefined): boolean {
    if (this.#seat === undefined || outlet === this.#outlet) return true;
    this.#seat = undefined;
    return false;
  }

  /** A fence with that number goes out; its cs's session. */
  fenceBy(outlet: Outlet, fence: number): SessionHandle {
    this.fence = fence;
    this.#lastFence = fence;
    this.#outlet = outlet;
    return this.#join!.handle;
  }

  /** The outlet that its last fence went by. */
  get fencedBy(): Outlet | undefined {
    return this.#outlet;
  }

  credit(total: number): void {
    if (this.#seat !== undefined) this.#seat.givenMax = total;
  }

  absent(sent: readonly MemberOut[]): void {
    this.home = undefined;
    this.sent = sent;
    this.inDoubt = false;
    this.stale = false;
    this.fence = 0;
    this.#join = undefined;
    this.#seat = undefined;
  }

  /** Its home ended: where it lives next, or whether it does, is not known. */
  doubt(): void {
    this.home = undefined;
    this.inDoubt = true;
    this.unknownSinceMs = undefined;
    this.stale = false;
    this.fence = 0;
    this.#seat = undefined;
  }
}
