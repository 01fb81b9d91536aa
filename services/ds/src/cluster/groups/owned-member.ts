// The owner of a group knows a member in one of five states:
//
//   in doubt  the group's list has it, or its home ended: it may be connected, and have anything
//   absent    it is not connected; what it had sent is known
//   joined    it is connected, and its cs is still to be asked what it has
//   fenced    its cs is asked what it has
//   seated    it gets messages, by the stream by which it joined or its cs was asked
//
// Transitions, and their reasons:
//
//            in doubt           absent             joined             fenced         seated
//   in doubt –                  the store says so  it joins           –              –
//   absent   –                  –                  it joins           –              –
//   joined   home is no more,   its connection     it joins again     cs is asked    it is new, and
//            or names it no     ended                                                nobody gave it
//            more                                                                    anything
//   fenced   the same           the same           it joins again     asked again    cs has answered
//   seated   the same           the same           it joins again,    –              –
//                                                  or its cs is
//                                                  reached otherwise
//
// From each state the member may leave the group. Every change makes another object of the state:
// whoever waits for something compares it to see whether anything else was heard meanwhile.
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { ClientId, NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { Outlet } from '../../routing/outlet.ts';
import type { GroupMember, Seat } from '../../routing/group-member.ts';
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

/** The connection of a member. */
interface Living {
  readonly home: NodeId;
  readonly join: Join;
  /**
   * Set while its home ds resends its full state; still set afterwards means that the home no
   * longer has this member. Not a state of its own: what is asked meanwhile goes on.
   */
  isStale: boolean;
}

export type OwnedMemberState =
  /** `unknownSinceMs`: since when the store has it connected at a ds that does not know it. */
  | { readonly kind: 'in doubt'; readonly unknownSinceMs: number | undefined }
  | { readonly kind: 'absent' }
  /** `askedAtMs`: when it joined; −Infinity: its cs is to be asked at once. */
  | { readonly kind: 'joined'; readonly living: Living; readonly askedAtMs: number }
  | {
      readonly kind: 'fenced';
      readonly living: Living;
      readonly askedAtMs: number;
      /** Number of the fence, and the outlet by which it went. */
      readonly number: number;
      readonly outlet: Outlet;
    }
  | { readonly kind: 'seated'; readonly living: Living; readonly seat: MemberSeat };

/** A member as the owner of its group knows it. */
export class OwnedMember implements GroupMember<ClientId> {
  readonly key: ClientId;
  /** Epoch of the claim; for a member that has not joined: of the claim by which it entered. */
  epoch: number;
  filter = '';
  inFlight = 0;
  /**
   * Rights of the member to read, as its home told them last; undefined: everything, or the member
   * has not joined.
   */
  rights: ReadRights | undefined = undefined;
  /** Messages that it had sent when its connection ended last. */
  sent: readonly MemberOut[] = [];
  #state: OwnedMemberState = { kind: 'in doubt', unknownSinceMs: undefined };
  /** Number of the last fence, also of an earlier connection. */
  #lastFence = noFence;

  constructor(key: ClientId, epoch: number) {
    this.key = key;
    this.epoch = epoch;
  }

  get state(): OwnedMemberState {
    return this.#state;
  }

  get seat(): Seat | undefined {
    const state = this.#state;
    return state.kind === 'seated' ? state.seat : undefined;
  }

  get isInDoubt(): boolean {
    return this.#state.kind === 'in doubt';
  }

  /** Home ds of the member; undefined: it is not known to be connected. */
  get home(): NodeId | undefined {
    return this.#living?.home;
  }

  get clientId(): ClientId {
    return this.key;
  }

  get cs(): NodeId | undefined {
    return this.#living?.join.cs;
  }

  /** The member is connected, and it is not known what it has. */
  get isUnfenced(): boolean {
    const { kind } = this.#state;
    return kind === 'joined' || kind === 'fenced';
  }

  get isStale(): boolean {
    return this.#living?.isStale === true;
  }

  joined(home: NodeId, join: Join, nowMs: number): void {
    this.epoch = join.epoch;
    this.filter = join.filter;
    const living = { home, join, isStale: false };
    this.#state = { kind: 'joined', living, askedAtMs: nowMs };
  }

  /** Its home begins to say anew which members it has. */
  stale(): void {
    const living = this.#living;
    if (living !== undefined) living.isStale = true;
  }

  /** The member may be given messages, over that outlet as long as that is the way to its cs. */
  sit(outlet: Outlet, givenMax: number): void {
    const state = this.#state;
    if (state.kind !== 'joined' && state.kind !== 'fenced') return;
    const { living } = state;
    const seat = new MemberSeat(living.join.handle, outlet, givenMax, this.#lastFence);
    this.#state = { kind: 'seated', living, seat };
  }

  /** `outlet`: the way to its cs now. Another one than before may have lost what was given. */
  reachedBy(outlet: Outlet | undefined): void {
    const state = this.#state;
    if (state.kind !== 'seated' || state.seat.node === outlet) return;
    this.#state = { kind: 'joined', living: state.living, askedAtMs: -Infinity };
  }

  /** A fence with that number goes out. The session of its cs; undefined: nothing is to be asked. */
  fence(outlet: Outlet, number: number, nowMs: number): SessionHandle | undefined {
    const state = this.#state;
    if (state.kind !== 'joined' && state.kind !== 'fenced') return undefined;
    const { living } = state;
    this.#lastFence = number;
    this.#state = { kind: 'fenced', living, askedAtMs: nowMs, number, outlet };
    return living.join.handle;
  }

  /** The answer to a fence has come by that home. The outlet of that fence; undefined: another. */
  answered(home: NodeId, number: number): Outlet | undefined {
    const state = this.#state;
    if (state.kind !== 'fenced' || state.number !== number) return undefined;
    // Its cs knows where it lives.
    if (state.living.home !== home) this.#state = { ...state, living: { ...state.living, home } };
    return state.outlet;
  }

  credit(total: number): void {
    const state = this.#state;
    if (state.kind === 'seated') state.seat.givenMax = total;
  }

  absent(sent: readonly MemberOut[]): void {
    this.sent = sent;
    this.#state = { kind: 'absent' };
  }

  /** The store has it connected at a ds that does not know it: in doubt until that has lasted. */
  unknown(nowMs: number, isLong: (sinceMs: number) => boolean): void {
    const state = this.#state;
    if (state.kind !== 'in doubt') return;
    const sinceMs = state.unknownSinceMs ?? nowMs;
    if (isLong(sinceMs)) this.#state = { kind: 'absent' };
    else if (state.unknownSinceMs === undefined)
      this.#state = { kind: 'in doubt', unknownSinceMs: sinceMs };
  }

  /** The member's home ended: its next home is not known. */
  doubt(): void {
    if ('living' in this.#state) this.#state = { kind: 'in doubt', unknownSinceMs: undefined };
  }

  get #living(): Living | undefined {
    const state = this.#state;
    return 'living' in state ? state.living : undefined;
  }
}
