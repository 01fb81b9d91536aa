import type { OutboundState, SessionState, SubscriptionState } from '@lmqtt/proto/session-state';
import type { Subscription } from './cursor.ts';
import type { Session } from './session.ts';
import type { Inflight } from './window.ts';

/**
 * State of a session for another ds: it goes on from there, so everything that was handed over to
 * be stored counts as stored.
 */
export function presentedState(session: Session, inbound: number[]): SessionState {
  const subscriptions: SubscriptionState[] = [];
  for (const subscription of session.subscriptions.values()) {
    subscriptions.push(subscriptionState(session, subscription));
  }
  const outbound: OutboundState[] = [];
  for (const inflight of session.window.entries()) {
    const state = outboundState(inflight);
    if (state === undefined) continue;
    // A session that ends with its connection keeps nothing but the messages that groups count.
    if (session.persistent || state.place.kind === 'group') outbound.push(state);
  }
  outbound.sort((a, b) => a.sequence - b.sequence);
  return { subscriptions, outbound, inbound };
}

function subscriptionState(session: Session, subscription: Subscription): SubscriptionState {
  const { filter, options, group, queue, cursors } = subscription;
  return {
    filter,
    options,
    group,
    queue,
    positions: cursors.map((cursor) => cursor.state()),
    retainedAfter: session.retainedAfter(subscription),
  };
}

/** Messages that the redelivery has not reached yet are in the window all the same. */
function outboundState(inflight: Inflight): OutboundState | undefined {
  const { packetId, qos, sequence, place, filter } = inflight;
  if (place === undefined) return undefined;
  const released = inflight.state === 'releasing' || inflight.state === 'released';
  return { packetId, qos, state: released ? 'released' : 'sent', sequence, place, filter };
}
