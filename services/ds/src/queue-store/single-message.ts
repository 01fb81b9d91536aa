import { type Message, messageOf } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';

/**
 * A message on its own, as wills and retained messages are stored:
 *
 *     u8    QoS (bits 0, 1), RETAIN (bit 2), has properties (bit 3), has an expiry (bit 4)
 *     f64   wall clock in ms at which it expires, 0: never
 *     u16   length, topic name
 *     u16   length, client identifier of the publisher
 *     u32   length, properties            (only with bit 3)
 *     u32   message expiry interval, s    (only with bit 4)
 *     …     payload, to the end
 */
const retainBit = 4;
const propertiesBit = 8;
const expiryBit = 16;

export function encodeMessage(message: Message): Buffer {
  const { topic, publisher, properties, expiryS, payloadBytes } = message;
  const topicBytes = Buffer.byteLength(topic);
  const publisherBytes = Buffer.byteLength(publisher);
  const propertiesBytes = properties === undefined ? 0 : 4 + properties.length;
  const buffer = Buffer.allocUnsafeSlow(
    13 + topicBytes + publisherBytes + propertiesBytes + (expiryS > 0 ? 4 : 0) + payloadBytes,
  );
  buffer[0] =
    message.qos |
    (message.retain ? retainBit : 0) |
    (properties === undefined ? 0 : propertiesBit) |
    (expiryS > 0 ? expiryBit : 0);
  buffer.writeDoubleLE(message.expiresAtMs, 1);
  let at = buffer.writeUInt16LE(topicBytes, 9);
  at += buffer.write(topic, at);
  at = buffer.writeUInt16LE(publisherBytes, at);
  at += buffer.write(publisher, at);
  if (properties !== undefined) {
    at = buffer.writeUInt32LE(properties.length, at);
    at += properties.copy(buffer, at);
  }
  if (expiryS > 0) at = buffer.writeUInt32LE(expiryS, at);
  message.buffer.copy(buffer, at, message.payloadStart, message.payloadEnd);
  return buffer;
}

/** The message keeps views of the buffer. */
export function decodeMessage(buffer: Buffer): Message {
  const flags = buffer[0]!;
  const expiresAtMs = buffer.readDoubleLE(1);
  let at = 11 + buffer.readUInt16LE(9);
  const topic = buffer.toString('utf8', 11, at);
  const publisherEnd = at + 2 + buffer.readUInt16LE(at);
  const publisher = buffer.toString('utf8', at + 2, publisherEnd);
  at = publisherEnd;
  let properties: Buffer | undefined;
  if ((flags & propertiesBit) !== 0) {
    const end = at + 4 + buffer.readUInt32LE(at);
    properties = buffer.subarray(at + 4, end);
    at = end;
  }
  let expiryS = 0;
  if ((flags & expiryBit) !== 0) {
    expiryS = buffer.readUInt32LE(at);
    at += 4;
  }
  return messageOf({
    topic,
    qos: (flags & 3) as Qos,
    retain: (flags & retainBit) !== 0,
    payload: buffer.subarray(at),
    properties,
    expiresAtMs,
    expiryS,
    publisher,
  });
}
