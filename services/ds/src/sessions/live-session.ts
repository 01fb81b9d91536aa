// Whether a session is gone, and who says so. Most ask `closing` of the session that they have.
//
//   LiveSession.life
//     live: connected here
//     closing: its connection has ended, or another has it; its cs gets nothing more for it
//       (use-cases/disconnect.ts, `leaveNode`)
//     ended: and the store has that (disconnect, present, cluster/admission)
//   CsNode.sessions: its cs may speak for it; else its words are refused with "taken over"
//     (added by connect and present, taken by `leaveNode`)
//   LiveSession.kicked: its cs was told to close the connection; live until the cs has (kick)
//   LiveSession.endsWithConnection: the session will not be kept then (session-rights)
//   LiveSession.turnedAway: the same connection publishes nothing more (publish)
//   StoredSession.connected: some connection has it, here or elsewhere (session stores)
//   StoredSession.removed: the store has it no more, connected or not (session stores)
//   Connecting.gone: the connection ended before its CONNECT was answered, and becomes no session
//     (ds-link, cluster/admission)
//   CsNode.over: its cs is judged or has left: the same for each of its connections (ds-link,
//     cluster/admission)
import type { ClientId, Epoch, SessionHandle } from '@lmqtt/common/ids';
import type { ConnectRequest, Peer } from '@lmqtt/proto/link';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Answer } from './answer.ts';
import type { Principal } from '../auth/auth-provider.ts';
import type { EnhancedAuthExchange } from '../auth/enhanced-auth.ts';
import type { HookedLine } from './hooked-line.ts';
import type { Outlet } from '../routing/outlet.ts';
import type { Route } from '../routing/routes.ts';
import type { DelayedTopic } from './delayed-topic.ts';
import { Settling } from './settling.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/** Facts about its connection, by its CONNECT or as it was presented. */
type ConnectionFacts = Pick<
  ConnectRequest,
  'protocolVersion' | 'keepAliveS' | 'peer' | 'authenticationMethod'
>;

/** A session that is connected: the claim, and what is kept of it for speed. */
export class LiveSession {
  readonly node: Outlet;
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly stored: StoredSession;
  readonly protocolVersion: number;
  readonly keepAliveS: number;
  readonly peer: Peer;
  principal: Principal;
  readonly authenticationMethod: string | undefined;
  /** A re-authentication under way. */
  exchange: EnhancedAuthExchange | undefined = undefined;

  /** The last topic that it published to: whether it may, where it goes, its lane. */
  topic = '';
  topicAllowed = false;
  accessVersion = -1;
  route: Route | undefined = undefined;
  /** The delay that the last topic asks for. */
  delayedTopic: DelayedTopic | 'malformed' | undefined = undefined;
  lane = '';
  /**
   * Rights of the session to read, the version of the rules that gave them, and the rights that its
   * cs was told; null: none yet.
   */
  rights: ReadRights | undefined = undefined;
  rightsVersion = -1;
  toldRights: string | undefined | null = null;
  /** Publishes of the session that are to be answered, in their order. */
  readonly unanswered: Answer[] = [];
  /** Where there are hooks: what waits for them. */
  hooked: HookedLine | undefined = undefined;
  #settling: Settling | undefined = undefined;

  /**
   * Stored messages of shared groups since the claim: those that it was given, and how many it
   * may have been given.
   */
  given = 0;
  givenMax = 0;

  /**
   * Set for a session that goes on by its client's word, and that the session store does not know.
   */
  comesBack = false;

  kicked = false;
  /** Set where the session ends with its connection, whatever its client or its expiry says. */
  endsWithConnection = false;
  /** A publish has failed, and its connection is closed for it: what follows is sent again. */
  turnedAway = false;
  #life: 'live' | 'closing' | 'ended' = 'live';
  #waiting: (() => void)[] | undefined = undefined;

  constructor(
    node: Outlet,
    handle: SessionHandle,
    epoch: Epoch,
    stored: StoredSession,
    connection: ConnectionFacts,
    principal: Principal,
  ) {
    this.node = node;
    this.handle = handle;
    this.clientId = stored.clientId;
    this.epoch = epoch;
    this.stored = stored;
    this.protocolVersion = connection.protocolVersion;
    this.keepAliveS = connection.keepAliveS;
    this.peer = connection.peer;
    this.principal = principal;
    this.authenticationMethod = connection.authenticationMethod;
  }

  /** Retained messages without an answer, at QoS 0. */
  get settling(): Settling {
    return (this.#settling ??= new Settling());
  }

  /** Wall clock: epochs are given by it. */
  get connectedAtMs(): number {
    return this.epoch;
  }

  /** Its connection has ended, or another one has the session. */
  get closing(): boolean {
    return this.#life !== 'live';
  }

  /** Its cs neither speaks for it nor gets anything for it from now on. */
  close(): void {
    if (this.#life === 'live') this.#life = 'closing';
  }

  /** Called once: now if it has ended. */
  onEnded(callback: () => void): void {
    if (this.#life === 'ended') callback();
    else (this.#waiting ??= []).push(callback);
  }

  end(): void {
    this.#life = 'ended';
    for (const callback of this.#waiting?.splice(0) ?? []) callback();
  }
}
