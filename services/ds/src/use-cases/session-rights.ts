import { type ReadRights, ReadRightsTable, textOfRules } from '@lmqtt/common/read-rights';
import { systemClock } from '@lmqtt/common/clock';
import type { ClientId } from '@lmqtt/common/ids';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthProvider } from '../auth/auth-provider.ts';
import type { DsEvents } from '../events.ts';
import { IdentityEnds } from './identity-ends.ts';
import { kick } from './kick.ts';
import type { LiveSession } from '../sessions/live-session.ts';

export const aclCachedHelp = 'Answers of the access rules kept in memory';

/** How long sessions are looked at before others have their turn. */
const turnMs = 5;

/**
 * Rights of clients to read, by the current rules. Connection nodes judge by them and are told when
 * they change: with the answer to CONNECT for a session that is being claimed, for all others in a
 * later turn, so that a change never overtakes that answer. Clients whose users were removed are
 * disconnected, and those whose identities have ended.
 */
export class SessionRights {
  readonly #access: AuthProvider;
  readonly #events: DsEvents;
  readonly #live: ReadonlyMap<ClientId, LiveSession>;
  readonly #table: ReadRightsTable;
  readonly #listeners: ((session: LiveSession) => void)[] = [];
  /** Sessions that are to be told of what has changed. */
  readonly #due = new Set<LiveSession>();
  readonly #telling: OnceATurn = new OnceATurn(() => this.#tell());
  readonly #ends: IdentityEnds;

  constructor(
    access: AuthProvider,
    events: DsEvents,
    live: ReadonlyMap<ClientId, LiveSession>,
    answersMax: number,
  ) {
    this.#access = access;
    this.#events = events;
    this.#live = live;
    this.#table = new ReadRightsTable(answersMax);
    this.#ends = new IdentityEnds(systemClock, live, (session) =>
      kick(events, session, ReasonCode.maximumConnectTime),
    );
    access.onChange(() => {
      for (const session of live.values()) this.due(session);
    });
  }

  /** Number of answers of the rules kept in memory. */
  get cached(): number {
    return this.#table.answers.count;
  }

  /** Called after the cs of a session was told that its rights have changed. */
  onChanged(listener: (session: LiveSession) => void): void {
    this.#listeners.push(listener);
  }

  /** Current rights of the session; undefined: everything may be read. */
  of(session: LiveSession): ReadRights | undefined {
    const { version } = this.#access;
    if (session.rightsVersion !== version) {
      const { principal, clientId, peer } = session;
      const rules = this.#access.reading(principal, clientId, peer.address);
      session.rights = this.#table.of(rules && textOfRules(rules));
      session.rightsVersion = version;
    }
    return session.rights;
  }

  /** Rights of a client that is connected elsewhere, as its ds tells them. */
  ofText(text: string | undefined): ReadRights | undefined {
    return this.#table.of(text);
  }

  /** Whether there is anything to read by the filter. */
  admits(session: LiveSession, filter: string): boolean {
    if (this.of(session)?.of(filter) === 'nothing') return false;
    const { principal, clientId, peer } = session;
    return this.#access.admits(principal, clientId, peer.address, 'subscribe', filter);
  }

  /** Rights of the session as text, for the answer to its CONNECT. */
  claimed(session: LiveSession): string | undefined {
    const text = this.of(session)?.text;
    session.toldRights = text;
    this.#ends.note(session);
    return text;
  }

  /** Notes that the session's rights may differ from those that its cs has. */
  due(session: LiveSession): void {
    this.#due.add(session);
    this.#ends.note(session);
    this.#telling.soon();
  }

  /**
   * Disconnects a session whose user was removed, which ends the session. False: the user is there.
   */
  endIfGone(session: LiveSession): boolean {
    if (!this.#access.isGone(session.principal)) return false;
    session.endsWithConnection = true;
    kick(this.#events, session, ReasonCode.notAuthorized);
    return true;
  }

  #tell(): void {
    const endMs = systemClock.monotonicMs() + turnMs;
    for (const session of this.#due) {
      this.#due.delete(session);
      if (this.#live.get(session.clientId) === session) this.#check(session);
      if (systemClock.monotonicMs() >= endMs) break;
    }
    if (this.#due.size > 0) this.#telling.soon();
  }

  #check(session: LiveSession): void {
    if (session.closing || session.kicked || this.endIfGone(session)) return;
    const text = this.of(session)?.text;
    if (session.toldRights === text) return;
    session.toldRights = text;
    session.node.downstream.rights(session.handle, text);
    for (const listener of this.#listeners) listener(session);
  }
}
