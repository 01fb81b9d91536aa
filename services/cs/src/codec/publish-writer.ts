import type { EncodedPublish, Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { Delivery } from '../packet/delivery.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import { PropertyId } from '../packet/property.ts';
import { copyBytes, putU16, putU32, putVarint, varintBytes } from './bytes.ts';

// PUBLISH packets into a caller's buffer. A message's bytes are laid out as a packet's body is, so
// that in the usual case one copy brings over topic and payload, with the packet identifier (and
// the empty properties of 5.0) written into the gap between them afterwards.
//
// Where that does not do and a message goes to several clients alike, it is encoded once and then
// copied and patched: from its second packet on, the encoding is kept with the message. What
// differs by session within a 5.0 packet (identifiers, alias) is always written out.

/** Larger ones are not kept encoded: the copy costs as much as the encoding. */
const encodedBytesMax = 16 * 1024;
const noEncodings: (EncodedPublish | undefined)[] = [];

/** Bytes of the topic name. */
function topicBytes(message: Message): number {
  const { topicStart, buffer } = message;
  if (topicStart < 0) return Buffer.byteLength(message.topic);
  return (buffer[topicStart]! << 8) | buffer[topicStart + 1]!;
}

function propertyBytes(message: Message, delivery: Delivery): number {
  let bytes = message.properties === undefined ? 0 : message.properties.length;
  if (delivery.messageExpiryS >= 0) bytes += 5;
  if (delivery.topicAlias > 0) bytes += 3;
  const identifiers = delivery.subscriptionIdentifiers;
  if (identifiers === undefined) return bytes;
  for (const identifier of identifiers) bytes += 1 + varintBytes(identifier);
  return bytes;
}

function remainingLength(message: Message, delivery: Delivery): number {
  const withTopic = delivery.version < 5 || delivery.withTopic;
  let bytes = 2 + message.payloadEnd - message.payloadStart;
  if (withTopic) bytes += topicBytes(message);
  if (delivery.qos > 0) bytes += 2;
  if (delivery.version < 5) return bytes;
  const properties = propertyBytes(message, delivery);
  return bytes + varintBytes(properties) + properties;
}

/** Bytes of the whole packet, for the buffer's room and the client's maximum packet size. */
export function publishSize(message: Message, delivery: Delivery): number {
  const remaining = remainingLength(message, delivery);
  return 1 + varintBytes(remaining) + remaining;
}

/** Writes the packet, `publishSize` bytes; returns where the next one begins. */
export function writePublish(
  target: Buffer,
  at: number,
  message: Message,
  delivery: Delivery,
): number {
  const { version, qos, packetId } = delivery;
  const fiveZero = version === 5;
  if (!fiveZero || isBare(message, delivery)) {
    if (laidOutBytes(message, qos, version) > 0) {
      return writeAsLaidOut(target, at, message, firstByte(delivery), qos, version, packetId);
    }
  }
  // A kept encoding has nothing that differs by session.
  const alike =
    !fiveZero || (delivery.topicAlias === 0 && delivery.subscriptionIdentifiers === undefined);
  const encoded = alike ? encodedOf(message, delivery) : undefined;
  return encoded === undefined
    ? encode(target, at, message, delivery)
    : writeEncoded(target, at, encoded, delivery);
}

/** A packet of 5.0 with no properties at all, and a topic. */
function isBare(message: Message, delivery: Delivery): boolean {
  return (
    message.properties === undefined &&
    delivery.messageExpiryS < 0 &&
    delivery.topicAlias === 0 &&
    delivery.subscriptionIdentifiers === undefined
  );
}

export function firstByteOf(qos: Qos, dup: boolean, retain: boolean): number {
  return 0x30 | (dup ? 0x08 : 0) | (qos << 1) | (retain ? 0x01 : 0);
}

function firstByte({ qos, dup, retain }: Delivery): number {
  return firstByteOf(qos, dup, retain);
}

/**
 * Bytes of the packet's body where the message's bytes are laid out as it is, with a gap as wide
 * as the packet needs; 0: they are not. A packet of 5.0 must have no properties.
 */
export function laidOutBytes(message: Message, qos: Qos, version: ProtocolVersion): number {
  const { topicStart, payloadStart, payloadEnd } = message;
  if (topicStart < 0) return 0;
  const gapBytes = (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0);
  const isLaidOut = payloadStart - topicStart - 2 - topicBytes(message) === gapBytes;
  return isLaidOut ? payloadEnd - topicStart : 0;
}

/** Writes the whole body with one copy, and what belongs into the gap behind the topic. */
export function writeAsLaidOut(
  target: Buffer,
  at: number,
  message: Message,
  first: number,
  qos: Qos,
  version: ProtocolVersion,
  packetId: number,
): number {
  const { buffer, topicStart, payloadStart, payloadEnd } = message;
  target[at] = first;
  const body = putVarint(target, at + 1, payloadEnd - topicStart);
  const end = copyBytes(target, body, buffer, topicStart, payloadEnd);
  const payloadAt = body + payloadStart - topicStart;
  if (version === 5) target[payloadAt - 1] = 0;
  if (qos > 0) putU16(target, payloadAt - (version === 5 ? 3 : 2), packetId);
  return end;
}

function encode(target: Buffer, at: number, message: Message, delivery: Delivery): number {
  target[at] = firstByte(delivery);
  let end = putVarint(target, at + 1, remainingLength(message, delivery));
  const { topicStart, buffer } = message;
  if (delivery.version === 5 && !delivery.withTopic) end = putU16(target, end, 0);
  else if (topicStart < 0) end = putTopic(target, end, message.topic);
  else end = copyBytes(target, end, buffer, topicStart, topicStart + 2 + topicBytes(message));
  if (delivery.qos > 0) end = putU16(target, end, delivery.packetId);
  if (delivery.version === 5) end = putProperties(target, end, message, delivery);
  return copyBytes(target, end, buffer, message.payloadStart, message.payloadEnd);
}

function putTopic(target: Buffer, at: number, topic: string): number {
  const start = at + 2;
  const written = target.write(topic, start);
  putU16(target, at, written);
  return start + written;
}

/** The expiry comes first, where {@link writeEncoded} finds it. */
function putProperties(target: Buffer, at: number, message: Message, delivery: Delivery): number {
  let end = putVarint(target, at, propertyBytes(message, delivery));
  if (delivery.messageExpiryS >= 0) {
    target[end] = PropertyId.messageExpiryInterval;
    end = putU32(target, end + 1, delivery.messageExpiryS);
  }
  if (delivery.topicAlias > 0) {
    target[end] = PropertyId.topicAlias;
    end = putU16(target, end + 1, delivery.topicAlias);
  }
  const { properties } = message;
  if (properties !== undefined) end = copyBytes(target, end, properties, 0, properties.length);
  const identifiers = delivery.subscriptionIdentifiers;
  if (identifiers === undefined) return end;
  for (const identifier of identifiers) {
    target[end] = PropertyId.subscriptionIdentifier;
    end = putVarint(target, end + 1, identifier);
  }
  return end;
}

/** The encoding that fits; undefined the first time, when it may well be the only one. */
function encodedOf(message: Message, delivery: Delivery): EncodedPublish | undefined {
  const encodings = message.encoded;
  if (encodings === undefined) {
    message.encoded = noEncodings;
    return undefined;
  }
  const expires = delivery.version === 5 && delivery.messageExpiryS >= 0;
  const variant =
    (delivery.qos << 3) |
    (delivery.retain ? 4 : 0) |
    (delivery.version === 5 ? 2 : 0) |
    (expires ? 1 : 0);
  const known = encodings[variant];
  if (known !== undefined) return known;
  const bytes = publishSize(message, delivery);
  if (bytes > encodedBytesMax) return undefined;
  const made = encodeOnce(message, delivery, bytes, expires);
  if (encodings === noEncodings) message.encoded = [];
  message.encoded![variant] = made;
  return made;
}

function encodeOnce(
  message: Message,
  delivery: Delivery,
  packetBytes: number,
  expires: boolean,
): EncodedPublish {
  const bytes = Buffer.allocUnsafeSlow(packetBytes);
  encode(bytes, 0, message, delivery);
  const remaining = remainingLength(message, delivery);
  const packetIdAt = 1 + varintBytes(remaining) + 2 + topicBytes(message);
  const propertiesAt = packetIdAt + (delivery.qos > 0 ? 2 : 0);
  const lengthBytes = expires ? varintBytes(propertyBytes(message, delivery)) : 0;
  return { bytes, packetIdAt, expiryAt: expires ? propertiesAt + lengthBytes + 1 : -1 };
}

function writeEncoded(
  target: Buffer,
  at: number,
  encoded: EncodedPublish,
  delivery: Delivery,
): number {
  const { bytes } = encoded;
  target.set(bytes, at);
  if (delivery.dup) target[at] = bytes[0]! | 0x08;
  else target[at] = bytes[0]! & ~0x08;
  if (delivery.qos > 0) putU16(target, at + encoded.packetIdAt, delivery.packetId);
  if (encoded.expiryAt >= 0) putU32(target, at + encoded.expiryAt, delivery.messageExpiryS);
  return at + bytes.length;
}
