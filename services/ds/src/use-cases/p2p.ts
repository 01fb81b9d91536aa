import { Cursor } from '@lmqtt/common/cursor';
import { p2pQueue } from '@lmqtt/common/p2p';
import type { SubscriptionOptions } from '@lmqtt/proto/session-state';
import type { DsEvents } from '../events.ts';
import type { Holdings } from './holdings.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { SessionPositions } from './session-positions.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import type { StoredSubscription } from '../session-store/stored-session.ts';

export interface P2pPorts {
  readonly holdings: Holdings;
  readonly sessionStore: SessionStore;
  readonly queueStore: QueueStore;
  readonly positions?: SessionPositions;
  readonly events: DsEvents;
  /** P2P: sessions have queues of their own. */
  readonly p2p: boolean;
}

/** Messages to one client keep their own QoS. */
const options: SubscriptionOptions = {
  qos: 2,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 2,
  subscriptionIdentifier: undefined,
};

/**
 * The queue of a client that connects, where messages to this client alone are stored. The session
 * subscribes to it before CONNACK, from its end on, and keeps it for as long as it is there. A
 * session from a time with another setting gets it, or loses it. Where that fails the client is
 * connected all the same, and its next CONNECT tries again.
 */
export async function openOwnQueue(ports: P2pPorts, session: LiveSession): Promise<void> {
  try {
    await open(ports, session);
  } catch (error) {
    ports.events.subscribeFailed(session, error);
  }
}

async function open(ports: P2pPorts, session: LiveSession): Promise<void> {
  const { stored, clientId, epoch, node } = session;
  const name = p2pQueue(clientId);
  const known = stored.subscription(name);
  if (!ports.p2p) {
    if (known === undefined) return;
    await ports.sessionStore.unsubscribe(stored, epoch, [name]);
    ports.positions?.unsubscribed(stored, known);
    ports.holdings.disconnect(known, node);
    ports.holdings.remove(known, stored);
    return;
  }
  if (known !== undefined) return;
  const [queue] = await ports.holdings.open([{ name, group: undefined }], session);
  if (queue === undefined) throw new Error('no queue was opened');
  try {
    const ends = await ports.queueStore.ends(queue.id);
    const subscription: StoredSubscription = {
      filter: name,
      options,
      group: undefined,
      queue: queue.id,
      cursors:
        (await ports.positions?.startOf(session, queue.id, ends)) ??
        ends.map(({ partition, end }) => Cursor.at(partition, end)),
      retainedAfter: undefined,
      live: false,
    };
    const kept = await ports.sessionStore.subscribe(stored, epoch, [subscription]);
    if (!kept || stored.removed) throw new Error('the session has ended');
    ports.holdings.add(subscription);
    if (!session.closing) ports.holdings.connect(subscription, node);
  } finally {
    ports.holdings.unpin(queue);
  }
}
