import { parseReplayFilter } from '@lmqtt/common/replay-filter';
import type { SubscribeAnswer, SubscribeEntry } from '@lmqtt/proto/link';
import type { Queue, Routes } from '../routing/routes.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { subscribe, type SubscribePorts, unsubscribe, type UnsubscribePorts } from './subscribe.ts';

interface ReplayPorts extends SubscribePorts, UnsubscribePorts {
  readonly routes: Routes;
}

/**
 * SUBSCRIBE with filters some of which may ask for a replay. Of a filter that is subscribed to
 * already the replay is another subscription: what it has in flight goes on, all else begins anew.
 */
export async function subscribeFrom(
  ports: ReplayPorts,
  session: LiveSession,
  entries: SubscribeEntry[],
): Promise<SubscribeAnswer[]> {
  const pinned: Queue[] = [];
  const known: string[] = [];
  for (const { filter } of entries) {
    const replay = parseReplayFilter(filter);
    const subscription = replay && session.stored.subscription(replay.filter);
    if (subscription === undefined || known.includes(subscription.filter)) continue;
    known.push(subscription.filter);
    const queue = ports.routes.queue(subscription.queue);
    if (queue === undefined) continue;
    // Its messages are to be replayed, so it must stay.
    queue.pins += 1;
    pinned.push(queue);
  }
  try {
    if (known.length > 0) await unsubscribe(ports, session, known);
    return await subscribe(ports, session, entries);
  } finally {
    for (const queue of pinned) ports.holdings.unpin(queue);
  }
}
