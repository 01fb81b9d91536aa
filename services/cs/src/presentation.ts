import type { SessionHandle } from '@lmqtt/common/ids';
import type { ConnectionEnd, PresentedSession } from '@lmqtt/proto/link';
import type { Client } from './connection/client.ts';
import { presentedState } from './session/presented-state.ts';

/**
 * The sessions of this node, whole, for a ds that does not know them: those of live
 * connections, and those whose end ds has not confirmed. The latter cost nothing until they are
 * asked for: a session keeps its state after its end.
 */
export class Presentation {
  readonly #ending: Map<SessionHandle, Ending> = new Map();

  /** The connection has ended, and ds was told. */
  ended(client: Client, end: ConnectionEnd): void {
    this.#ending.set(client.handle, { client, end });
  }

  /** ds knows of the end. */
  settled(session: SessionHandle): void {
    this.#ending.delete(session);
  }

  present(clients: Iterable<Client>, of: (session: SessionHandle) => boolean): PresentedSession[] {
    const sessions: PresentedSession[] = [];
    for (const { client, end } of this.#ending.values())
      if (of(client.handle)) add(sessions, client, end);
    for (const client of clients) if (of(client.handle)) add(sessions, client, undefined);
    return sessions;
  }
}

interface Ending {
  readonly client: Client;
  readonly end: ConnectionEnd;
}

function add(sessions: PresentedSession[], client: Client, end: ConnectionEnd | undefined): void {
  const { session, inbound, stream } = client;
  // Clients that are still connecting come back to the new ds by themselves.
  if (session === undefined) return;
  sessions.push({
    session: client.handle,
    clientId: client.clientId,
    epoch: session.epoch,
    protocolVersion: client.version,
    keepAliveS: client.keepAliveS,
    peer: stream.peer,
    principal: client.principal,
    authenticationMethod: client.authenticationMethod,
    sessionExpiryS: client.sessionExpiryS,
    state: presentedState(session, inbound.in2('stored')),
    storing: inbound.in2('storing'),
    end,
  });
}
