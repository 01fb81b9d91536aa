import { queueId } from '@lmqtt/common/ids';
import { Message } from '@lmqtt/common/message';
import type { OrderKey, QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';

export interface PlainMessage {
  readonly body: Buffer;
  readonly flags: number;
  readonly properties: Buffer | undefined;
  readonly expiresAtMs: number;
  readonly expiryS: number;
  readonly publisher: string;
  readonly entries: readonly PlainEntry[];
  readonly orderKey: OrderKey | null | undefined;
  readonly storedMs: number;
}

interface PlainEntry {
  readonly queue: number;
  readonly partition: number;
  readonly offset_1: number;
  readonly step: number;
}

const qosBits = 3;
const retainBit = 4;
/** The topic's length, and the two bytes of no meaning behind it. */
const bodyBytesMin = 4;

export function plainMessage(message: Message): PlainMessage {
  return {
    body: bodyOf(message),
    flags: message.qos | (message.retain ? retainBit : 0),
    properties: message.properties,
    expiresAtMs: message.expiresAtMs,
    expiryS: message.expiryS,
    publisher: message.publisher,
    entries: message.entries.map((entry) => ({
      queue: entry.queue,
      partition: entry.partition,
      offset_1: entry.offset + 1,
      step: entry.offset - entry.previous,
    })),
    orderKey: message.orderKey,
    storedMs: message.storedMs,
  };
}

/** The message's bytes are those of the plain object. */
export function messageOfPlain(plain: PlainMessage): Message {
  const { body, flags, properties } = plain;
  if (body.length < bodyBytesMin) throw new RangeError('a message has no topic');
  const topicEnd = 2 + body.readUInt16BE(0);
  if (topicEnd + 2 > body.length) throw new RangeError('a topic ends past its message');
  const message = new Message(
    body.toString('utf8', 2, topicEnd),
    qosOf(flags & qosBits),
    (flags & retainBit) !== 0,
    body,
    0,
    topicEnd + 2,
    body.length,
    properties === undefined || properties.length === 0 ? undefined : properties,
    plain.expiresAtMs,
    plain.publisher,
  );
  message.expiryS = plain.expiryS;
  message.storedMs = plain.storedMs;
  if (plain.entries.length > 0) message.entries = plain.entries.map(entryOf);
  if (plain.orderKey) message.orderKey = orderKeyOf(plain.orderKey);
  return message;
}

/** The same, with bytes of its own: of a message that outlives what it was read from. */
export function ownMessageOfPlain(plain: PlainMessage): Message {
  return messageOfPlain({
    ...plain,
    body: Buffer.from(plain.body),
    properties: plain.properties && Buffer.from(plain.properties),
  });
}

export function orderKeyOf(plain: OrderKey): OrderKey {
  return { placement: plain.placement, offset: plain.offset };
}

export function qosOf(number: number): Qos {
  if (number === 0 || number === 1 || number === 2) return number;
  throw new RangeError(`there is no QoS ${number}`);
}

function entryOf(plain: PlainEntry): QueueEntry {
  const offset = plain.offset_1 - 1;
  return {
    queue: queueId(plain.queue),
    partition: plain.partition,
    offset,
    previous: offset - plain.step,
  };
}

function bodyOf(message: Message): Buffer {
  const { buffer, topicStart, payloadStart, payloadEnd } = message;
  if (topicStart < 0) return bodyOfParts(Buffer.from(message.topic), message);
  const topicEnd = topicStart + 2 + buffer.readUInt16BE(topicStart);
  if (payloadStart === topicEnd + 2) return buffer.subarray(topicStart, payloadEnd);
  return bodyOfParts(buffer.subarray(topicStart + 2, topicEnd), message);
}

function bodyOfParts(topic: Buffer, message: Message): Buffer {
  const body = Buffer.alloc(bodyBytesMin + topic.length + message.payloadBytes);
  body.writeUInt16BE(topic.length, 0);
  topic.copy(body, 2);
  message.buffer.copy(body, bodyBytesMin + topic.length, message.payloadStart, message.payloadEnd);
  return body;
}
