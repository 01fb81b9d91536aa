import type { ClientId, Epoch, SessionHandle } from '@lmqtt/common/ids';
import type { ConnectRequest, Peer } from '@lmqtt/proto/link';
import type { ReadRights } from '@lmqtt/common/read-rights';
import type { Answer } from './answer.ts';
import type { Principal } from '../auth/auth-provider.ts';
import type { EnhancedAuthExchange } from '../auth/enhanced-auth.ts';
import type { Outlet } from '../routing/outlet.ts';
import type { Route } from '../routing/routes.ts';
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
  /** Set when the connection has ended; `ended`: and that is in the store. */
  closing = false;
  ended = false;
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

  /** Called once: now if it has ended. */
  onEnded(callback: () => void): void {
    if (this.ended) callback();
    else (this.#waiting ??= []).push(callback);
  }

  end(): void {
    this.ended = true;
    for (const callback of this.#waiting?.splice(0) ?? []) callback();
  }
}
