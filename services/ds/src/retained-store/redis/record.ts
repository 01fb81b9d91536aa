import { Message, type OrderKey } from '@lmqtt/common/message';
import { decodeMessage, encodeMessage } from '../../queue-store/single-message.ts';

/**
 * A retained message as Redis has it; the scripts read the head of it:
 *
 *     u48   placement     order key
 *     u48   offset
 *     u48   wall clock in ms at which it expires, 0: never
 *     u32   size, as the limits count it, 0: the topic has none
 *     …     message (single-message.ts)
 */
const keyBytes = 12;
const headBytes = 22;

export function encodeRecord(message: Message, orderKey: OrderKey): Buffer {
  const isNone = message.payloadBytes === 0;
  const head = Buffer.alloc(headBytes);
  writeOrderKey(head, orderKey);
  if (isNone) return head;
  head.writeUIntBE(Math.floor(message.expiresAtMs), 12, 6);
  head.writeUInt32BE(message.heldBytes, 18);
  return Buffer.concat([head, encodeMessage(message)]);
}

/** The caller's own, with RETAIN set. Undefined: there is none. */
export function decodeRecord(record: Buffer): Message | undefined {
  if (record.length <= headBytes) return undefined;
  const stored = decodeMessage(record.subarray(headBytes));
  const message = new Message(
    stored.topic,
    stored.qos,
    true,
    stored.buffer,
    stored.topicStart,
    stored.payloadStart,
    stored.payloadEnd,
    stored.properties,
    stored.expiresAtMs,
    stored.publisher,
  );
  message.expiryS = stored.expiryS;
  message.orderKey = readOrderKey(record);
  return message;
}

export function readOrderKey(record: Buffer): OrderKey {
  return { placement: record.readUIntBE(0, 6), offset: record.readUIntBE(6, 6) };
}

/** Names one version: what it is found by once it is replaced. */
export function versionField(topic: string, orderKey: OrderKey): Buffer {
  return Buffer.concat([encodeOrderKey(orderKey), Buffer.from(topic)]);
}

export function encodeOrderKey(orderKey: OrderKey): Buffer {
  const buffer = Buffer.alloc(keyBytes);
  writeOrderKey(buffer, orderKey);
  return buffer;
}

function writeOrderKey(buffer: Buffer, { placement, offset }: OrderKey): void {
  buffer.writeUIntBE(placement, 0, 6);
  buffer.writeUIntBE(offset, 6, 6);
}
