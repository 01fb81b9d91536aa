// Messages of an ordinary queue that back ends have sent, and what they can be for devices.
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { backEnd, eventTag, java } from '../../rocketmq/message/property-names.ts';
import { topicOfLmqName } from '../../rocketmq/names/lmq-name.ts';
import type { Unmapped } from './events.ts';
import type { QueuePlaces } from './options.ts';

/**
 * Prefix of the keys of copies that were put in the place of their MQTT topic, and are not sent on
 * once more.
 */
export const homeKeyPrefix = 'lmqtt-home/';
const ownTopics = '$SYS/';
const none: readonly string[] = [];

/** Not stored by this cluster; asked of those without a publisher. */
export function isFromBackEnd(stored: StoredMessage): boolean {
  if (stored.message.publisher !== '' || stored.key?.startsWith(homeKeyPrefix) === true)
    return false;
  return stored.tag !== eventTag;
}

/**
 * True for a message that says its MQTT topic, and can be read as a whole: it is for all who
 * subscribe to that.
 */
export function isWhole(stored: StoredMessage): boolean {
  if (stored.isUnfit || stored.message.topic.startsWith(ownTopics)) return false;
  return hasMqttTopic(stored);
}

/** The LMQs that it is to be in and is not: those of who has subscribed, or that of its client. */
export function namesMissed(
  queues: Pick<QueuePlaces, 'missed' | 'ofClient'>,
  { client, lmqNames, message }: StoredMessage,
  whole: boolean,
): readonly string[] {
  const { topic } = message;
  if (client === undefined) return queues.missed?.(topic, lmqNames, whole) ?? none;
  const place = whole ? queues.ofClient?.(client, topic) : undefined;
  return place === undefined || lmqNames.includes(place) ? none : [place];
}

/** undefined: it is for devices as it is. */
export function unmappedOf(
  stored: StoredMessage,
  queues: Pick<QueuePlaces, 'missed' | 'isKnown' | 'ofClient'>,
): Unmapped | undefined {
  const { lmqNames, message } = stored;
  const { topic } = message;
  if (!hasMqttTopic(stored) && lmqNames.length === 0) return 'no topic';
  if (topic.startsWith(ownTopics)) return 'reserved topic';
  if (stored.isUnfit) return 'bad properties';
  if (lmqNames.length > 0 && queues.isKnown?.(topic, lmqNames) === true) return undefined;
  if (isWhole(stored) && namesMissed(queues, stored, true).length > 0) return undefined;
  if (stored.client !== undefined) return 'no session';
  return lmqNames.length > 0 ? 'unknown queue' : 'no subscriber';
}

/** By a property, even that of a client, by a rule, or by the name of a queue without wildcards; not by its RocketMQ topic. */
function hasMqttTopic(stored: StoredMessage): boolean {
  const { topic } = stored.message;
  if (topic !== stored.topic || stored.client !== undefined || stored.isByTemplate) return true;
  if (stored.property(java.topic) === topic || stored.property(backEnd.topic) === topic)
    return true;
  return stored.lmqNames.some((name) => topicOfLmqName(name) === topic);
}
