// Messages to one client: a topic `{first}/p2p/{clientId}[/…]` is for the client of that identifier,
// whatever it has subscribed to. Each session has a queue of its own for them, and in it a
// subscription that nobody asked for. Both are named like a filter that no client may subscribe to.
import { type ClientId, clientId, type QueueName, queueName } from './ids.ts';
import { isOfMount } from './mount.ts';
import { matches } from './topic.ts';

const prefix = '$p2p/';
const dollar = 0x24;
const mark = 'p2p';
const operatorTopics = `lmqtt/${mark}/`;
const namespaceEnd = '%';

/** The queue of a client. */
export function p2pQueue(client: ClientId): QueueName {
  return queueName(prefix + client);
}

/** Whether a filter, or the name of a queue, is that of a client's own queue. */
export function isP2pFilter(filter: string): boolean {
  return filter.charCodeAt(0) === dollar && filter.startsWith(prefix);
}

/** The client whose own queue has this name; undefined: a queue of another kind. */
export function clientOfP2p(filter: string): ClientId | undefined {
  return isP2pFilter(filter) ? clientId(filter.slice(prefix.length)) : undefined;
}

/**
 * The client that a topic addresses; undefined: none. In a first level with a `%` the text before it
 * is a namespace, and a part of the client identifier: `ns%first/p2p/c` is for `ns%c`.
 */
export function addresseeOf(topic: string): ClientId | undefined {
  const first = topic.indexOf('/');
  if (topic.charCodeAt(0) === dollar || first === -1 || !topic.startsWith(mark, first + 1))
    return undefined;
  const second = first + 1 + mark.length;
  if (topic.charAt(second) !== '/') return undefined;
  const end = topic.indexOf('/', second + 1);
  const name = end === -1 ? topic.slice(second + 1) : topic.slice(second + 1, end);
  if (name === '') return undefined;
  const namespace = topic.indexOf(namespaceEnd);
  return clientId(
    namespace <= 0 || namespace > first ? name : `${topic.slice(0, namespace + 1)}${name}`,
  );
}

/**
 * Whether a subscription is owed a message of its queue. What stands in a client's own queue is for
 * it, except a message that addresses another one: many clients may share a queue.
 */
export function isOwed(filter: string, topic: string): boolean {
  const client = clientOfP2p(filter);
  if (client === undefined) return matches(filter, topic);
  const addressee = addresseeOf(topic);
  if (addressee === undefined || addressee === client) return true;
  // The topic of a back end's message that says nothing but the name of the queue.
  return topic === `/${mark}/${client.replaceAll('%', '/')}`;
}

/** The topic of an operator's message to one client. */
export function operatorTopicTo(client: string): string {
  return `${operatorTopics}${client}`;
}

/**
 * Whether a message of a client's own queue is for a client with this namespace: it is of the
 * namespace, or names the queue alone, as operators and back ends do.
 */
export function isP2pOfMount(mount: string, topic: string): boolean {
  return (
    isOfMount(mount, topic) || topic.startsWith(`/${mark}/`) || topic.startsWith(operatorTopics)
  );
}
