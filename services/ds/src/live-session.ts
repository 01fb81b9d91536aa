import type { ClientId, Epoch, SessionHandle } from '@lmqtt/common/ids';
import type { Peer } from '@lmqtt/proto/link';
import type { Principal } from './auth/auth-provider.ts';
import type { EnhancedAuthExchange } from './auth/enhanced-auth.ts';
import type { Outlet } from './outlet.ts';
import type { Route } from './routes.ts';
import type { StoredSession } from './session-store/stored-session.ts';

/** A session that is connected: the claim, and what is kept of it for speed. */
export class LiveSession {
  readonly node: Outlet;
  readonly handle: SessionHandle;
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly stored: StoredSession;
  readonly protocolVersion: number;
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
   * Stored messages of shared groups since the claim: those that it was given, and how many it
   * may have been given.
   */
  given = 0;
  givenMax = 0;

  kicked = false;
  /** Its connection has ended; `ended`: and that is in the store. */
  closing = false;
  ended = false;
  #waiting: (() => void)[] | undefined = undefined;

  constructor(
    node: Outlet,
    handle: SessionHandle,
    epoch: Epoch,
    stored: StoredSession,
    protocolVersion: number,
    peer: Peer,
    principal: Principal,
    authenticationMethod: string | undefined,
  ) {
    this.node = node;
    this.handle = handle;
    this.clientId = stored.clientId;
    this.epoch = epoch;
    this.stored = stored;
    this.protocolVersion = protocolVersion;
    this.peer = peer;
    this.principal = principal;
    this.authenticationMethod = authenticationMethod;
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
