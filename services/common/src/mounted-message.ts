// Messages of a client with a namespace, as the broker has them and as the client does: their topics,
// and the topics that their properties name.

import { Message } from './message.ts';
import { mountedTopic, unmountedTopic } from './mount.ts';

const responseTopic = 0x08;
const userProperty = 0x26;
/** The one property whose value has no length in front. */
const payloadFormatIndicator = 0x01;
const receiptName = Buffer.from('lmqtt-receipt');

/** The properties with other topics; undefined: a topic has no other form. */
function withTopics(
  bytes: Buffer,
  other: (topic: string) => string | undefined,
): Buffer | undefined {
  const textEnd = (at: number): number => at + 2 + bytes.readUInt16BE(at);
  const parts: Buffer[] = [];
  let from = 0;
  let at = 0;
  const replace = (start: number, end: number): boolean => {
    const topic = other(bytes.toString('utf8', start + 2, end));
    if (topic === undefined) return false;
    const text = Buffer.from(topic);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(text.length);
    parts.push(bytes.subarray(from, start), length, text);
    from = end;
    return true;
  };
  while (at < bytes.length) {
    const property = bytes[at];
    at += 1;
    if (property === payloadFormatIndicator) {
      at += 1;
      continue;
    }
    const end = textEnd(at);
    if (property === responseTopic && !replace(at, end)) return undefined;
    if (property !== userProperty) {
      at = end;
      continue;
    }
    const isReceipt = bytes.subarray(at + 2, end).equals(receiptName);
    at = textEnd(end);
    if (isReceipt && !replace(end, at)) return undefined;
  }
  if (parts.length === 0) return bytes;
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}

/** Properties of a message of a client, for the broker; undefined: a topic in them is too long. */
export function mountedProperties(mount: string, properties: Buffer): Buffer | undefined {
  return withTopics(properties, (topic) => mountedTopic(mount, topic));
}

function renamed(message: Message, topic: string, properties: Buffer | undefined): Message {
  const other = new Message(
    topic,
    message.qos,
    message.retain,
    message.buffer,
    -1,
    message.payloadStart,
    message.payloadEnd,
    properties,
    message.expiresAtMs,
    message.publisher,
  );
  other.expiryS = message.expiryS;
  return other;
}

/** A message of a client as the broker has it; undefined: a topic in it is no topic of a client. */
export function mountedMessage(mount: string, message: Message): Message | undefined {
  const topic = mountedTopic(mount, message.topic);
  if (topic === undefined) return undefined;
  const { properties } = message;
  if (properties === undefined) return renamed(message, topic, undefined);
  const full = mountedProperties(mount, properties);
  return full && renamed(message, topic, full);
}

/** The last form of a message that a client was shown: many clients share a namespace. */
const shown = new WeakMap<Message, { readonly mount: string; readonly message: Message }>();

/** A message as a client with that namespace sees it; itself where it is not of the namespace. */
export function unmountedMessage(mount: string, message: Message): Message {
  const known = shown.get(message);
  if (known?.mount === mount) return known.message;
  const topic = unmountedTopic(mount, message.topic);
  if (topic === undefined || topic === message.topic) return message;
  const { properties } = message;
  const own = properties && withTopics(properties, (full) => unmountedTopic(mount, full) ?? full);
  const view = renamed(message, topic, own);
  shown.set(message, { mount, message: view });
  return view;
}
