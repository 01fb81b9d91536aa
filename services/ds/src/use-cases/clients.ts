import { type ClientId, csOfLane, type SessionHandle } from '@lmqtt/common/ids';
import type { LiveSession } from '../sessions/live-session.ts';
import { queuedOf } from './queue-limits.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/** A session as operators see it. */
export interface ClientLine {
  readonly id: ClientId;
  /** null: not connected. */
  readonly connection: {
    readonly session: SessionHandle;
    readonly node: string;
    readonly address: string;
    readonly protocolVersion: number;
    readonly user: string | null;
    readonly keepAliveS: number;
    /** Wall clock. */
    readonly connectedAtMs: number;
  } | null;
  readonly subscriptions: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly sessionExpiryS: number;
  /** Messages that it was owed and lost to a limit, since the start. */
  readonly lost: number;
}

export interface ClientsPorts {
  readonly sessionStore: { readonly sessions: Iterable<StoredSession> };
  readonly queueStore: QueueStore;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
}

/** At most `clientsMax` sessions whose ids come after the one given, in the order of ids. */
export function listClients(
  ports: ClientsPorts,
  after: ClientId | null,
  clientsMax: number,
): Promise<ClientLine[]> {
  const byId = (a: StoredSession, b: StoredSession): number => (a.clientId < b.clientId ? -1 : 1);
  let page: StoredSession[] = [];
  for (const session of ports.sessionStore.sessions) {
    if (after !== null && session.clientId <= after) continue;
    page.push(session);
    // Cut now and then, so that a page of few among very many costs no great sort.
    if (page.length >= clientsMax * 4 + 1024) page = page.sort(byId).slice(0, clientsMax);
  }
  return Promise.all(
    page
      .sort(byId)
      .slice(0, clientsMax)
      .map((session) => clientLine(ports, session)),
  );
}

export async function clientLine(ports: ClientsPorts, session: StoredSession): Promise<ClientLine> {
  const live = ports.live.get(session.clientId);
  return {
    id: session.clientId,
    connection:
      live === undefined
        ? null
        : {
            session: live.handle,
            node: csOfLane(live.node.id),
            address: live.peer.address,
            protocolVersion: live.protocolVersion,
            user: live.principal.user ?? null,
            keepAliveS: live.keepAliveS,
            connectedAtMs: live.connectedAtMs,
          },
    subscriptions: session.askedCount,
    queued: await queuedOf(ports.queueStore, session),
    inFlight: session.outboundCount,
    sessionExpiryS: session.sessionExpiryS,
    lost: session.lost,
  };
}
