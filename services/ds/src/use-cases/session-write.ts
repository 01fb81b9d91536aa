import type { SessionWrite } from '@lmqtt/proto/link';
import type { CsNode } from '../sessions/cs-node.ts';
import type { DsEvents } from '../events.ts';
import type { Groups } from './groups.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { OwedQueues } from './owed-queues.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { Routes } from '../routing/routes.ts';
import type { SessionStore } from '../session-store/session-store.ts';

export interface SessionWritePorts {
  readonly sessionStore: SessionStore;
  readonly retained: RetainedStore;
  readonly groups: Groups;
  readonly routes: Routes;
  readonly owed: OwedQueues;
  readonly events: DsEvents;
}

/**
 * Session state from a cs. What a session writes may also concern what others hold: the group that
 * a message came by, the version of a retained message, the queue that may be trimmed.
 */
export function writeSessions(
  ports: SessionWritePorts,
  node: CsNode,
  batch: SessionWrite[],
  durable: (() => void) | undefined,
): boolean {
  let known = batch.length === 0;
  for (const write of batch) {
    const session = node.sessions.get(write.session);
    if (session === undefined) continue; // fenced; the kick tells its cs
    known = true;
    writeSession(ports, session, write);
  }
  if (known)
    ports.sessionStore.commit(
      durable === undefined ? undefined : ports.groups.behindWrites(durable),
    );
  return known;
}

/** One of them; the caller commits. */
export function writeSession(
  ports: SessionWritePorts,
  session: LiveSession,
  write: SessionWrite,
): void {
  const { stored } = session;
  switch (write.kind) {
    case 'sent':
      if (write.place.kind === 'retained')
        ports.retained.pin(write.place.topic, write.place.orderKey);
      else if (write.place.kind === 'group') ports.groups.write(session, write);
      break;
    case 'done': {
      const place = stored.outboundOf(write.packetId)?.place;
      if (write.failed) ports.events.deliveryRefused(session);
      if (place?.kind === 'retained') ports.retained.unpin(place.topic, place.orderKey);
      else if (place?.kind === 'group') ports.groups.write(session, write);
      else if (place?.kind === 'queue') {
        ports.routes.moved(place.queue);
        ports.sessionStore.write(stored, session.epoch, write);
        ports.owed.done(stored, place.queue);
        return;
      }
      break;
    }
    case 'position':
      ports.routes.moved(write.queue);
      break;
    case 'assigned-done':
    case 'fenced':
      ports.groups.write(session, write);
      return;
    default:
      break;
  }
  ports.sessionStore.write(stored, session.epoch, write);
}
