import type { ClientId } from '@lmqtt/common/ids';
import type { LiveSession } from './live-session.ts';
import { queuedOf } from './queue-limits.ts';
import type { QueueStore } from './queue-store/queue-store.ts';
import type { StoredSession } from './session-store/stored-session.ts';

/** A session as operators see it. */
export interface ClientLine {
  readonly id: string;
  readonly connected: boolean;
  readonly address: string | null;
  readonly node: string | null;
  readonly protocolVersion: number | null;
  readonly user: string | null;
  readonly subscriptions: number;
  readonly queued: number;
  readonly inFlight: number;
  /** Messages that it was owed and lost to a limit, since the start. */
  readonly lost: number;
}

export interface ClientPage {
  readonly clients: ClientLine[];
  /** Pass as `after`; undefined: that was all. */
  readonly next: string | undefined;
}

export interface ClientsPorts {
  readonly sessionStore: { readonly sessions: Iterable<StoredSession> };
  readonly queueStore: QueueStore;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
}

/** Sessions in the order in which they were made. */
export async function listClients(
  ports: ClientsPorts,
  after: string | undefined,
  clientsMax: number,
): Promise<ClientPage> {
  const from = after === undefined ? 0 : Number(after);
  const page: StoredSession[] = [];
  let more = false;
  for (const session of ports.sessionStore.sessions) {
    if (session.number <= from) continue;
    more = page.length === clientsMax;
    if (more) break;
    page.push(session);
  }
  const clients: ClientLine[] = [];
  for (const session of page) {
    const live = ports.live.get(session.clientId);
    clients.push({
      id: session.clientId,
      connected: live !== undefined,
      address: live?.peer.address ?? null,
      node: live?.node.id ?? null,
      protocolVersion: live?.protocolVersion ?? null,
      user: live?.principal.user ?? null,
      subscriptions: session.subscriptions.length,
      queued: await queuedOf(ports.queueStore, session),
      inFlight: session.outboundCount,
      lost: session.lost,
    });
  }
  return { clients, next: more ? String(page.at(-1)!.number) : undefined };
}
