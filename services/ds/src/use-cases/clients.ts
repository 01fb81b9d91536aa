import { type ClientId, csOfLane, type SessionHandle } from '@lmqtt/common/ids';
import { isP2pFilter } from '@lmqtt/common/p2p';
import { nextTurn } from '@lmqtt/common/pause';
import { parseSharedFilter } from '@lmqtt/common/topic';
import { type ClientFilter, fitsOf, nameOfUser, wouldGet } from './client-filter.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { queuedOf } from './queue-limits.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

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
  /** Where they were asked for: subscriptions that fit. */
  readonly subscriptionLines?: readonly SubscriptionLine[];
}

export interface SubscriptionLine {
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
  readonly subscriptionIdentifier: number | null;
  /** Name of the shared group; null: not shared. */
  readonly group: string | null;
  readonly queue: number;
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
  /** Lines have the subscriptions that fit, and not what waits. */
  readonly subscriptions?: boolean;
}

export interface ClientsPorts {
  readonly sessionStore: { readonly sessions: Iterable<StoredSession> };
  readonly queueStore: QueueStore;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
}

type LinePorts = Pick<ClientsPorts, 'live' | 'queueStore'>;

/** Sessions that are passed by, and lines that are made, in one turn of the event loop. */
const passedAtOnce = 1000;
const madeAtOnce = 50;

const byId = (a: StoredSession, b: StoredSession): number => (a.clientId < b.clientId ? -1 : 1);

/** At most `clientsMax` sessions whose ids come after the one given, in the order of ids. */
export async function listClients(ports: ClientsPorts, request: PageRequest): Promise<ClientPage> {
  const { after, clientsMax, filter } = request;
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
    lines.push(...(await Promise.all(some.map((session) => lineFor(ports, session, request)))));
  }
  return { lines, next: lines.length < clientsMax ? null : (lines.at(-1)?.id ?? null) };
}

/** The line that a request asks for. */
export async function lineFor(
  ports: LinePorts,
  session: StoredSession,
  { subscriptions, filter: { subscribed, topic } }: PageRequest,
): Promise<ClientLine> {
  if (subscriptions !== true) return clientLine(ports, session);
  const mount = ports.live.get(session.clientId)?.principal.mount;
  const fitting = session.subscriptions.filter(
    (one) =>
      (subscribed === undefined
        ? topic !== undefined || !isP2pFilter(one.filter)
        : one.filter === subscribed) &&
      (topic === undefined || wouldGet(one, topic, mount)),
  );
  return { ...lineOf(ports, session, 0), subscriptionLines: fitting.map(subscriptionLine) };
}

export function subscriptionLine(subscription: StoredSubscription): SubscriptionLine {
  const { filter, queue, options } = subscription;
  const { qos, noLocal, retainAsPublished, retainHandling, subscriptionIdentifier } = options;
  const shared = parseSharedFilter(filter);
  return {
    ...{ filter, qos, noLocal, retainAsPublished, retainHandling },
    subscriptionIdentifier: subscriptionIdentifier ?? null,
    group: typeof shared === 'object' ? shared.group : null,
    queue,
  };
}

export async function clientLine(ports: LinePorts, session: StoredSession): Promise<ClientLine> {
  return lineOf(ports, session, await queuedOf(ports.queueStore, session));
}

function lineOf({ live: all }: LinePorts, session: StoredSession, queued: number): ClientLine {
  const live = all.get(session.clientId);
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
    queued,
    inFlight: session.outboundCount,
    sessionExpiryS: session.sessionExpiryS,
    lost: session.lost,
  };
}
