import { type ClientId, csOfLane, type SessionHandle } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import { type ClientFilter, fitsOf, nameOfUser } from './client-filter.ts';
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
    readonly listener?: string | undefined;
    readonly protocolVersion: number;
    readonly user: string | null;
    readonly keepAliveS: number;
    /** Wall clock. */
    readonly connectedAtMs: number;
  } | null;
  /** Owner of the session; null: anonymous. */
  readonly user: string | null;
  readonly subscriptions: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly sessionExpiryS: number;
  /** Messages that it was owed and lost to a limit, since the start. */
  readonly lost: number;
}

export interface ClientPage {
  readonly lines: ClientLine[];
  /** The last id that was looked at; null: there are no more. */
  readonly next: ClientId | null;
}

export interface PageRequest {
  readonly after: ClientId | null;
  readonly clientsMax: number;
  readonly filter: ClientFilter;
}

export interface ClientsPorts {
  readonly sessionStore: { readonly sessions: Iterable<StoredSession> };
  readonly queueStore: QueueStore;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
}

/** Sessions that are passed by, and lines that are made, in one turn of the event loop. */
const passedAtOnce = 1000;
const madeAtOnce = 50;

const byId = (a: StoredSession, b: StoredSession): number => (a.clientId < b.clientId ? -1 : 1);

/** At most `clientsMax` sessions whose ids come after the one given, in the order of ids. */
export async function listClients(
  ports: ClientsPorts,
  { after, clientsMax, filter }: PageRequest,
): Promise<ClientPage> {
  const fits = fitsOf(filter);
  let page: StoredSession[] = [];
  let passed = 0;
  for (const session of ports.sessionStore.sessions) {
    passed += 1;
    if (passed % passedAtOnce === 0) await nextTurn();
    if (after !== null && session.clientId <= after) continue;
    if (!fits(session, ports.live.get(session.clientId))) continue;
    page.push(session);
    // Cut now and then, so that a page of few among very many costs no great sort.
    if (page.length >= clientsMax * 2 + 1024) page = page.sort(byId).slice(0, clientsMax);
  }
  page = page.sort(byId).slice(0, clientsMax);
  const lines: ClientLine[] = [];
  for (let at = 0; at < page.length; at += madeAtOnce) {
    if (at > 0) await nextTurn();
    const some = page.slice(at, at + madeAtOnce);
    lines.push(...(await Promise.all(some.map((session) => clientLine(ports, session)))));
  }
  return { lines, next: lines.length < clientsMax ? null : (lines.at(-1)?.id ?? null) };
}

export async function clientLine(
  ports: Pick<ClientsPorts, 'live' | 'queueStore'>,
  session: StoredSession,
): Promise<ClientLine> {
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
            listener: live.peer.listener,
            protocolVersion: live.protocolVersion,
            user: live.principal.user ?? null,
            keepAliveS: live.keepAliveS,
            connectedAtMs: live.connectedAtMs,
          },
    user: nameOfUser(session),
    subscriptions: session.askedCount,
    queued: await queuedOf(ports.queueStore, session),
    inFlight: session.outboundCount,
    sessionExpiryS: session.sessionExpiryS,
    lost: session.lost,
  };
}
