// The form in which a message is sent to RocketMQ: the text of its properties, and its body.
import type { Message } from '@lmqtt/common/message';
import { emptyBody, java, mqttTag, own, rocket } from './property-names.ts';
import { isPlainText, readPublishProperties } from '@lmqtt/common/publish-properties';
import type { PublishProperties } from '@lmqtt/common/publish-properties';
import { escaped, nameEnd, valueEnd } from './separators.ts';

interface StoredWith {
  /** UNIQ_KEY, see `UniqueKeys`. */
  readonly key: string;
  readonly nowMs: number;
  /** Instead of the tag of all that is published over MQTT. */
  readonly tag?: string | undefined;
  /** KEYS. */
  readonly keys?: string | undefined;
  /** Name of the user who has published it. */
  readonly user?: string | undefined;
  /** Further properties under names of ours; values without U+0001 and U+0002, and not empty. */
  readonly more?: readonly (readonly [name: string, value: string])[];
}

/** The broker refuses a message with more. */
const propertyBytesMax = 32_767;
/** For what the broker adds by itself: the region, tracing, the name of the offsets. */
const addedBytes = 256;
/** For one offset and its comma. */
const offsetBytes = 14;
/**
 * For the names of all queues that a topic can match, and their offsets: own names of filters with wildcards
 * (`own-places.lua`), buckets, and the queue of the topic itself. The room is kept free whether or not there are
 * subscribers, so that none of them can make a publish too large.
 */
export const namesBytesMax = 2048;
/** Maximum bytes of all other properties. */
const ownPropertyBytesMax: number =
  propertyBytesMax - addedBytes - namesBytesMax - lmqNamesOf([]).length;
/** Minimum bytes of properties beside a topic: its tag, key, QoS and time, and one queue. */
const leastBesideTopicBytes = 185;
/** Maximum length of a topic that has room in a message. */
export const topicBytesMax: number = ownPropertyBytesMax - leastBesideTopicBytes;

/**
 * The properties of a message that `judge` lets through, as field `i` of SEND_MESSAGE_V2 (310).
 * `lmqNames` may repeat. undefined: more than RocketMQ takes, to be refused with 0x97.
 */
export function propertiesOf(
  message: Message,
  lmqNames: readonly string[],
  extra: StoredWith,
): string | undefined {
  const names = lmqNames.length > 1 ? [...new Set(lmqNames)] : lmqNames;
  const start = startOf(message, names, extra);
  if (message.properties === undefined && message.expiresAtMs === 0) {
    const text = start + property(java.more, `{"${java.qos}":"${message.qos}"}`);
    return hasRoom(text, names, extra) ? text : undefined;
  }
  const properties =
    message.properties === undefined ? undefined : readPublishProperties(message.properties);
  const forJava: Record<string, string> = { [java.qos]: `${message.qos}` };
  let text = start;
  if (message.expiresAtMs > 0) {
    const leftS = expiryLeftS(message, extra.nowMs);
    text += property(own.expiresAt, `${message.expiresAtMs}`);
    text += property(java.messageExpiryInterval, `${leftS}`);
    forJava[java.messageExpiryInterval] = `${leftS}`;
  }
  if (properties !== undefined) text += publishProperties(properties, forJava);
  const whole = text + property(java.more, JSON.stringify(forJava));
  if (hasRoom(whole, names, extra)) return whole;
  // The copies of properties for Java nodes are the first that have to go.
  const lean = text + property(java.more, `{"${java.qos}":"${message.qos}"}`);
  return hasRoom(lean, names, extra) ? lean : undefined;
}

/**
 * Remaining message expiry in s; for a message that is sent again less than before, and never more.
 */
function expiryLeftS({ expiresAtMs, expiryS }: Message, nowMs: number): number {
  const leftS = Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1000));
  return expiryS > 0 ? Math.min(leftS, expiryS) : leftS;
}

/** Bytes of the body: the payload's own, or those that stand for an empty one. */
export function bodyOf(message: Message): Buffer {
  return message.payloadBytes === 0 ? emptyBody : message.payload;
}

function startOf(message: Message, names: readonly string[], extra: StoredWith): string {
  let text =
    property(rocket.tags, extra.tag ?? mqttTag) +
    property(rocket.key, extra.key) +
    property(java.topic, message.topic) +
    property(java.qos, `${message.qos}`);
  if (names.length > 0) text += lmqNamesOf(names);
  if (message.publisher !== '') {
    text += property(own.publisher, escaped(message.publisher));
    text += property(own.publishedAt, `${extra.nowMs}`);
  }
  if (extra.user !== undefined && extra.user !== '')
    text += property(own.user, escaped(extra.user));
  if (extra.keys !== undefined) text += property(rocket.keys, extra.keys);
  if (message.retain) text += property(own.retain, '1');
  if (message.payloadBytes === 0) text += property(java.empty, 'true');
  for (const [name, value] of extra.more ?? []) text += property(name, value);
  return text;
}

/** The broker drops a property without a value: the layout says that it was there. */
function publishProperties(properties: PublishProperties, forJava: Record<string, string>): string {
  let text = property(own.layout, properties.layout);
  const both = (name: string, value: string) => {
    if (value === '') return;
    text += property(name, value);
    forJava[name] = value;
  };
  const { correlationData, userProperties } = properties;
  if (properties.payloadFormatIndicator !== undefined) {
    both(java.payloadFormatIndicator, `${properties.payloadFormatIndicator}`);
  }
  both(java.contentType, properties.contentType ?? '');
  both(java.responseTopic, properties.responseTopic ?? '');
  if (correlationData !== undefined && correlationData.length > 0) {
    const base64 = correlationData.toString('base64');
    text += property(java.correlationData, base64);
    // Java nodes send it on as text.
    forJava[java.correlationData] = isPlainText(correlationData)
      ? correlationData.toString('utf8')
      : base64;
  }
  if (userProperties.length > 0) both(java.userProperty, JSON.stringify(userProperties));
  return text;
}

function property(name: string, value: string): string {
  return name + nameEnd + value + valueEnd;
}

/** `text`: all properties, those of `names` and `extra` included. */
function hasRoom(text: string, names: readonly string[], extra: StoredWith): boolean {
  const offsetsBytes = names.length * offsetBytes;
  // No UTF-16 unit takes more than three bytes.
  if (text.length * 3 + offsetsBytes <= ownPropertyBytesMax) return true;
  const bytes = Buffer.byteLength(text);
  let besideBytes = names.length === 0 ? 0 : Buffer.byteLength(lmqNamesOf(names));
  for (const [name, value] of extra.more ?? []) besideBytes += property(name, value).length;
  const isOwnFine = bytes - besideBytes <= ownPropertyBytesMax;
  return isOwnFine && bytes + offsetsBytes <= propertyBytesMax - addedBytes;
}

function lmqNamesOf(names: readonly string[]): string {
  return property(rocket.lmqNames, names.join(','));
}
