import type { SessionHandle } from '@lmqtt/common/ids';
import type {
  ConnectionEnd,
  PresentedSession,
  Refusal,
  SessionsToPresent,
} from '@lmqtt/proto/link';
import type { Connection } from './connection/connection.ts';
import type { Client } from './connection/client.ts';
import type { CsEvents } from './events.ts';
import type { DueReports } from './due-reports.ts';
import type { LeaseGate } from './lease-gate.ts';
import { presentedState } from './session/presented-state.ts';
import type { Session } from './session/session.ts';
import type { Turn } from './turn.ts';

/** Chooses the sessions whose ds is another one now. */
export type OfSessions = (session: SessionHandle) => boolean;
const ofAll: OfSessions = () => true;

/** The node whose sessions are presented. */
interface PresentingNode {
  readonly connections: {
    all(): Iterable<Connection>;
    sessions(): Iterable<Session>;
    get(handle: SessionHandle): Connection | undefined;
  };
  readonly turn: Turn;
  readonly leaseGate: LeaseGate;
  readonly events: CsEvents;
}

/**
 * The sessions of this node, whole, for a ds that does not know them: those of live
 * connections, and those whose end ds has not confirmed. The latter cost nothing until they are
 * asked for: a session keeps its state after its end.
 */
export class Presentation {
  readonly #node: PresentingNode;
  readonly #reports: DueReports;
  readonly #ending: Map<SessionHandle, Ending> = new Map();

  constructor(node: PresentingNode, reports: DueReports) {
    this.#node = node;
    this.#reports = reports;
  }

  /** The connection has ended, and ds was told. */
  ended(client: Client, end: ConnectionEnd): void {
    this.#ending.set(client.handle, { client, end });
  }

  /** ds knows of the end. */
  confirmed(session: SessionHandle): void {
    this.#ending.delete(session);
  }

  /** State of the sessions, from which another ds goes on; a session may end before it is taken. */
  present(of: OfSessions = ofAll): SessionsToPresent {
    const owners: SessionOwner[] = [];
    for (const { client } of this.#ending.values()) addOwner(owners, client, of);
    for (const client of this.#node.connections.all()) addOwner(owners, client, of);
    return { length: owners.length, [Symbol.iterator]: () => this.#take(owners) };
  }

  *#take(owners: readonly SessionOwner[]): Generator<PresentedSession, void> {
    for (const { client, session } of owners) {
      // Gathered reports are in the presented state, or wait for the new ds.
      this.#reports.forget(session);
      this.#node.turn.flush();
      session.presented();
      yield presentedOf(client, session, this.#ending.get(client.handle)?.end);
    }
  }

  /** The new ds has taken the sessions, but for those that it refused. */
  presented(refusals: Refusal[], of: OfSessions = ofAll): void {
    const { connections, leaseGate, events } = this.#node;
    let presented = 0;
    for (const { handle } of connections.sessions()) if (of(handle)) presented += 1;
    for (const { session, reasonCode } of refusals) {
      this.confirmed(session);
      connections.get(session)?.fence(reasonCode);
    }
    for (const session of connections.sessions()) if (of(session.handle)) session.goOn();
    leaseGate.look();
    if (presented > 0) events.presented(presented, refusals.length);
  }
}

interface Ending {
  readonly client: Client;
  readonly end: ConnectionEnd;
}

interface SessionOwner {
  readonly client: Client;
  readonly session: Session;
}

/** Clients that are still connecting come back to the new ds by themselves. */
function addOwner(owners: SessionOwner[], client: Client, of: OfSessions): void {
  const { session, handle } = client;
  if (session !== undefined && of(handle)) owners.push({ client, session });
}

function presentedOf(
  client: Client,
  session: Session,
  end: ConnectionEnd | undefined,
): PresentedSession {
  const { inbound, stream } = client;
  return {
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
  };
}
