import type { Message } from '@lmqtt/common/message';
import { isOwed, isP2pFilter, isP2pOfMount } from '@lmqtt/common/p2p';
import type { SessionCursor, Subscription } from './cursor.ts';
import type { Terms } from './terms.ts';

/**
 * Whether the subscription is owed the message: its queue may be shared by other topics, some of
 * them the client may not read, and No Local keeps its own messages from it [MQTT-3.8.3-3].
 */
export function match(
  cursor: SessionCursor,
  { options }: Terms,
  message: Message,
  clientId: string,
): boolean {
  const { subscription } = cursor;
  if (message.topic !== cursor.matchedTopic) {
    if (!isOwed(subscription.filter, message.topic)) return false;
    if (subscription.mount !== '' && !isForOwner(subscription, message.topic)) return false;
    cursor.matchedTopic = message.topic;
  }
  const { rights } = subscription;
  if (rights !== undefined && !rights.allows(message.topic)) return false;
  return !(options.noLocal && message.publisher === clientId);
}

/** Queues other than a client's own are judged by the rights of the session. */
function isForOwner({ filter, mount }: Subscription, topic: string): boolean {
  return !isP2pFilter(filter) || isP2pOfMount(mount, topic);
}
