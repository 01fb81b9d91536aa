import type { Append } from '../queue-store.ts';
import type { RocketmqStoreOptions } from './options.ts';

/** Names of the light queues that a message goes to besides the RocketMQ topic. */
export function lmqNamesOf(
  { queues, message }: Append,
  places: RocketmqStoreOptions['queues'],
  rocketTopic: string,
): string[] {
  const names: string[] = [];
  for (const queue of queues) {
    const name = places.placeOf(queue);
    if (name !== undefined) names.push(name);
  }
  if (places.further !== undefined) names.push(...places.further(message.topic, rocketTopic));
  return names;
}
