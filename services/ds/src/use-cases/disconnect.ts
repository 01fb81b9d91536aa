import type { ClientId, NodeId } from '@lmqtt/common/ids';
import type { ConnectionEnd } from '@lmqtt/proto/link';
import type { CsNode } from '../sessions/cs-node.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DsEvents } from '../events.ts';
import type { Groups } from './groups.ts';
import type { Holdings } from './holdings.ts';
import { inPortions } from '@lmqtt/common/in-portions';
import type { LiveSession } from '../sessions/live-session.ts';
import type { OwedQueues } from './owed-queues.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { SessionPositions } from './session-positions.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import type { StoredSession } from '../session-store/stored-session.ts';
import type { Wills } from './wills.ts';

export interface DisconnectPorts {
  readonly sessionStore: SessionStore;
  readonly holdings: Holdings;
  readonly groups: Groups;
  readonly owed: OwedQueues;
  readonly retained: RetainedStore;
  readonly events: DsEvents;
  readonly wills: Wills;
  readonly deadLetters: DeadLetters;
  /** The connected sessions of all nodes. */
  readonly live: Map<ClientId, LiveSession>;
  readonly nodes: Map<NodeId, CsNode>;
  readonly sessionExpirySMax: number;
  /** Mirror of the positions, where there is one. */
  readonly positions?: SessionPositions;
  /** How long wills wait for their clients while the broker stops as planned; 0: it does not stop. */
  graceMs(): number;
}

/** How long a will waits for its client after a planned stop; counted while a broker runs. */
export const stopGraceMs = 10_000;

/** The connection ended; all that its session wrote is in the store before. */
export async function disconnect(
  ports: DisconnectPorts,
  session: LiveSession,
  end: ConnectionEnd,
  graceMs: number = end.planned === true ? stopGraceMs : ports.graceMs(),
): Promise<void> {
  if (session.closing) return;
  leaveNode(ports, session);
  const { stored, node } = session;
  const expiryS = session.endsWithConnection ? 0 : end.sessionExpiryS;
  const sessionExpiryS =
    expiryS === undefined ? undefined : Math.min(expiryS, ports.sessionExpirySMax);
  const mayFire = end.publishWill && graceMs === 0 && stored.will !== 0;
  const { presence } = ports.events;
  // Stored first: a ds that dies before the session's end is stored tells it once more.
  presence?.disconnected(session, end.reason);
  if (presence !== undefined) await presence.storedSoon();
  try {
    const release = { publishWill: end.publishWill, sessionExpiryS, graceMs };
    const released = ports.sessionStore.release(stored, session.epoch, release);
    if (mayFire) ports.wills.fire(session.clientId);
    await released;
  } catch (error) {
    ports.events.unexpected('disconnect', error);
  } finally {
    await inPortions(stored.subscriptions, (one) => ports.holdings.disconnect(one, node));
    if (stored.removed) await endSession(ports, stored);
    if (ports.live.get(session.clientId) === session) ports.live.delete(session.clientId);
    ports.events.disconnected(session, end.reason);
    session.end();
  }
}

/**
 * The session's node neither sends for it nor gets anything for it from now on; interest in the
 * queues of many subscriptions goes over some turns. What is stored is not used for another
 * connection.
 */
export function takeOffNode(ports: DisconnectPorts, session: LiveSession): void {
  leaveNode(ports, session);
  const { stored, node } = session;
  void inPortions(stored.subscriptions, (one) => ports.holdings.disconnect(one, node));
}

/** All of that but its interest in queues: nobody is there any more who takes their messages. */
function leaveNode(ports: DisconnectPorts, session: LiveSession): void {
  session.close();
  const { stored, node } = session;
  const known = ports.nodes.get(node.id);
  if (known === node) known.sessions.delete(session.handle);
  ports.groups.disconnect(session);
  ports.owed.disconnected(stored);
  ports.positions?.disconnected(stored);
}

/** A session is no more: what it held is let go, that of many subscriptions over some turns. */
export async function endSession(ports: DisconnectPorts, stored: StoredSession): Promise<void> {
  ports.positions?.ended(stored);
  if (stored.outboundCount > 0) await ports.deadLetters.sessionEnded(stored);
  await inPortions(stored.subscriptions, (subscription) => {
    if (subscription.group === undefined) ports.holdings.remove(subscription, stored);
    else ports.groups.leave(stored, subscription);
  });
  for (const { place } of stored.outbound)
    if (place.kind === 'retained') ports.retained.unpin(place.topic, place.orderKey);
  ports.owed.ended(stored);
}
