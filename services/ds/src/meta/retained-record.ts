// Retained messages in the form in which functions of META_MODULE see them.
import { type Message, messageOf } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { encodedProperties, hookProperties } from '../hooks/hooked-message.ts';
import type { RetainedRecord } from './meta.ts';

export function recordOf(message: Message): RetainedRecord {
  return {
    topic: message.topic,
    payload: message.payload,
    qos: message.qos,
    properties: hookProperties(message.properties),
    expires_at: message.expiresAtMs === 0 ? undefined : message.expiresAtMs / 1000,
    clientid: message.publisher,
  };
}

/** Throws where it is no such record. Whether the topic is valid is for the caller to say. */
export function messageIn(said: unknown): Message {
  if (typeof said !== 'object' || said === null) throw new Error('a record of it is no object');
  const record = said as Partial<Record<keyof RetainedRecord, unknown>>;
  const { topic, payload, qos = 0, properties, expires_at: expiresAt, clientid = '' } = record;
  if (typeof topic !== 'string') throw new Error('a record of it has no topic');
  if (!(payload instanceof Uint8Array) || payload.length === 0)
    throw new Error('a record of it has no payload');
  if (!isQos(qos)) throw new Error('a record of it has no QoS');
  if (typeof clientid !== 'string') throw new Error('a clientid of it is no text');
  if (expiresAt !== undefined && typeof expiresAt !== 'number')
    throw new Error('a time of it is no number');
  const expiresAtMs = expiresAt === undefined ? 0 : Math.ceil(expiresAt * 1000);
  return messageOf({
    ...{ topic, qos, retain: true, payload: Buffer.from(payload), publisher: clientid },
    properties: encodedProperties(properties ?? {}),
    expiresAtMs,
    expiryS: expiresAtMs === 0 ? 0 : Math.max(1, Math.ceil((expiresAtMs - Date.now()) / 1000)),
  });
}

/** A put of it deletes. */
export function emptyOf(topic: string): Message {
  return messageOf({ topic, qos: 0, retain: true, payload: Buffer.alloc(0) });
}

export function isSameMessage(one: Message, other: Message): boolean {
  return (
    one.qos === other.qos &&
    one.payload.equals(other.payload) &&
    Buffer.compare(one.properties ?? none, other.properties ?? none) === 0
  );
}

const none = Buffer.alloc(0);

function isQos(value: unknown): value is Qos {
  return value === 0 || value === 1 || value === 2;
}
