import { Cursor } from '@lmqtt/common/cursor';
import type { QueueId } from '@lmqtt/common/ids';
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
  const subscription: StoredSubscription = {
    filter: name,
    options,
    group: undefined,
    queue: queue.id,
    cursors: [],
    retainedAfter: undefined,
    live: false,
  };
  try {
    // Before its ends are read: what is stored from there on is pushed.
    ports.holdings.connect(subscription, node);
    subscription.cursors.push(...(await startsOf(ports, session, queue.id)));
    // A connection that ends later finds the subscription in its session, and ends the interest.
    if (session.closing) ports.holdings.disconnect(subscription, node);
    const kept = await ports.sessionStore.subscribe(stored, epoch, [subscription]);
    if (!kept || stored.removed) throw new Error('the session has ended');
    ports.holdings.add(subscription, stored);
  } catch (error) {
    ports.holdings.disconnect(subscription, node);
    throw error;
  } finally {
    ports.holdings.unpin(queue);
  }
}

async function startsOf(
  { queueStore, positions }: P2pPorts,
  session: LiveSession,
  queue: QueueId,
): Promise<Cursor[]> {
  if (positions === undefined || !session.comesBack) {
    const ends = await queueStore.ends(queue, 'without first');
    return ends.map(({ partition, end }) => Cursor.at(partition, end));
  }
  return positions.startOf(session, queue, await queueStore.ends(queue));
}
