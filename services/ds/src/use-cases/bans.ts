import type { Clock } from '@lmqtt/common/clock';
import type { ClientId } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { ConnectRequest } from '@lmqtt/proto/link';
import type { Principal } from '../auth/auth-provider.ts';
import { type Ban, type BanKind, isInForce } from '../ban-store/ban.ts';
import type { BanMode, BanStore } from '../ban-store/ban-store.ts';
import type { DsEvents } from '../events.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { Flapping } from './flapping.ts';
import { kick } from './kick.ts';

interface BansOptions {
  readonly store: BanStore;
  readonly events: DsEvents;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly flapConnectsMax: number;
  readonly flapWindowMs: number;
  readonly flapBanMs: number;
}

/** A ban that an operator wants. */
export interface WantedBan {
  readonly kind: BanKind;
  /** An address or network is written as `networkText` does it. */
  readonly who: string;
  readonly reason: string;
  readonly by: string;
  /** Duration from now on, or an end, by the clock of the store; null: it has no end. */
  readonly end: { readonly forMs: number } | { readonly atMs: number } | null;
}

export type BanOutcome =
  | { readonly kind: 'put'; readonly ban: Ban }
  | { readonly kind: 'full' }
  /** The wanted end has passed. */
  | { readonly kind: 'over' };

interface Line {
  readonly name: string;
  readonly ban: Ban;
}

/** Clients whose connections are counted at once. */
const clientsCountedMax = 100_000;
/** Pages of bans that are sorted together to find the first one. */
const sortedAtOnce = 8;
/** Sessions that are looked at before others have their turn. */
const portion = 500;

/**
 * Bans, as they count here: a CONNECT is refused, and a session that is connected is sent away,
 * whenever and wherever the ban was put.
 */
export class Bans {
  readonly #options: BansOptions;
  readonly #flapping: Flapping;
  /** The connected sessions are to be looked at once more. */
  #isPassWanted = false;
  #isLooking = false;

  constructor(options: BansOptions) {
    this.#options = options;
    this.#flapping = new Flapping({
      connectsMax: options.flapConnectsMax,
      windowMs: options.flapWindowMs,
      clientsMax: clientsCountedMax,
    });
    options.store.onBanned((ban) => this.#banned(ban));
  }

  /** Number of bans in force. */
  get count(): number {
    return this.#options.store.list.size;
  }

  /** The ban of a client identifier or an address, known before the client has shown who it is. */
  ofConnect({ clientId, peer }: Pick<ConnectRequest, 'clientId' | 'peer'>): Ban | undefined {
    const { list } = this.#options.store;
    if (list.size === 0) return undefined;
    const nowMs = this.#options.store.nowMs();
    return list.find('client', clientId, nowMs) ?? list.find('address', peer.address, nowMs);
  }

  ofUser({ user }: Principal): Ban | undefined {
    const { list } = this.#options.store;
    if (list.size === 0 || user === undefined) return undefined;
    return list.find('user', user, this.#options.store.nowMs());
  }

  /** Sends a session away that is banned by now. */
  endIfBanned(session: LiveSession): boolean {
    const ban = this.ofConnect(session) ?? this.ofUser(session.principal);
    if (ban === undefined) return false;
    this.#sendAway(session, ban);
    return true;
  }

  /** The same in a later turn, for a session that a cs presents. */
  due(session: LiveSession): void {
    if ((this.ofConnect(session) ?? this.ofUser(session.principal)) !== undefined) this.#look();
  }

  /** Counts the connection of a client that was admitted; one that flaps is banned for a while. */
  connected({ clientId }: LiveSession): void {
    const { clock, events, flapConnectsMax, flapWindowMs, flapBanMs } = this.#options;
    if (!this.#flapping.note(clientId, clock.monotonicMs())) return;
    events.limitReached('FLAP_CONNECTS_MAX');
    const reason = `connected more than ${flapConnectsMax} times within ${flapWindowMs / 1000} s`;
    const end = { forMs: flapBanMs };
    const wanted = { kind: 'client', who: clientId, reason, by: 'flapping', end } as const;
    // A ban that an operator has put stays.
    this.#put(wanted, 'keep').catch((error: unknown) => events.bans.flapNotBanned(clientId, error));
  }

  put(wanted: WantedBan): Promise<BanOutcome> {
    return this.#put(wanted, 'replace');
  }

  /** False: there was none in force. */
  async remove(kind: BanKind, who: string): Promise<boolean> {
    const { store, events } = this.#options;
    const isRemoved = await store.remove(kind, who);
    if (isRemoved) events.bans.removed(kind, who);
    return isRemoved;
  }

  /** Bans in force behind `after`, kind and name with a space between them, in the order of kinds and names; '': from the first. */
  async page(after: string, bansMax: number, kind: BanKind | undefined): Promise<Ban[]> {
    const { store } = this.#options;
    await store.refresh();
    const nowMs = store.nowMs();
    let lines: Line[] = [];
    let last: string | undefined;
    for (const ban of store.list.all) {
      const name = `${ban.kind} ${ban.who}`;
      if (name <= after || (last !== undefined && name > last)) continue;
      if ((kind ?? ban.kind) !== ban.kind || !isInForce(ban, nowMs)) continue;
      lines.push({ name, ban });
      // Many are not sorted for a page of few.
      if (lines.length < sortedAtOnce * bansMax) continue;
      lines = firstOf(lines, bansMax);
      last = lines.at(-1)?.name;
    }
    return firstOf(lines, bansMax).map(({ ban }) => ban);
  }

  /** Takes what other nodes have put or removed; called each half second or so. */
  async run(): Promise<void> {
    try {
      await this.#options.store.refresh();
    } catch (error) {
      // A store that is away is told elsewhere; the bans that are known stay in force.
      if (!(error instanceof StoreFailure)) throw error;
    }
  }

  async #put(wanted: WantedBan, mode: BanMode): Promise<BanOutcome> {
    const { store, events } = this.#options;
    const { kind, who, reason, by, end } = wanted;
    const createdAtMs = Math.trunc(store.nowMs());
    const endsAtMs = end === null ? null : 'atMs' in end ? end.atMs : createdAtMs + end.forMs;
    if (endsAtMs !== null && endsAtMs <= createdAtMs) return { kind: 'over' };
    const ban: Ban = { kind, who, reason, by, createdAtMs, endsAtMs };
    const outcome = await store.put(ban, mode);
    if (outcome === 'full') {
      events.limitReached('BANNED_MAX');
      return { kind: 'full' };
    }
    if (outcome === 'put') events.bans.put(ban);
    return { kind: 'put', ban };
  }

  #banned(ban: Ban): void {
    if (ban.kind !== 'client') {
      this.#look();
      return;
    }
    const session = this.#options.live.get(ban.who as ClientId);
    if (session !== undefined) this.endIfBanned(session);
  }

  /** Looks at all connected sessions, over some turns. */
  #look(): void {
    this.#isPassWanted = true;
    if (!this.#isLooking) void this.#lookAtAll();
  }

  async #lookAtAll(): Promise<void> {
    this.#isLooking = true;
    while (this.#isPassWanted) {
      await nextTurn();
      this.#isPassWanted = false;
      let looked = 0;
      for (const session of this.#options.live.values()) {
        this.endIfBanned(session);
        looked += 1;
        if (looked % portion === 0) await nextTurn();
      }
    }
    this.#isLooking = false;
  }

  #sendAway(session: LiveSession, ban: Ban): void {
    if (session.kicked || session.closing) return;
    const { events } = this.#options;
    events.bans.sentAway(session.clientId, ban.kind);
    kick(events, session, ReasonCode.administrativeAction);
  }
}

function firstOf(lines: readonly Line[], count: number): Line[] {
  return lines.toSorted((one, other) => (one.name < other.name ? -1 : 1)).slice(0, count);
}
