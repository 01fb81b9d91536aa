// Builders of the packets that a client sends, byte by byte. They write whatever they are told to,
// legal or not: every flag can be set, every string can be bytes, every length can be wrong.
import type { Bytes, SentProperties } from './properties.ts';
import { encodeProperties, prefixed, raw, u16, u8, varint } from './properties.ts';

/** The protocol level: 3 is MQIsdp, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type Version = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;

export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
export type PacketType = keyof typeof packetTypes;

/** Any packet: type, the four flag bits, body; `remaining` replaces the remaining length. */
export function packet(
  type: PacketType | number,
  flags: number,
  body: Uint8Array | readonly Uint8Array[] = [],
  remaining?: Uint8Array,
): Buffer {
  const bytes = body instanceof Uint8Array ? body : Buffer.concat(body);
  const number = typeof type === 'number' ? type : packetTypes[type];
  return Buffer.concat([u8((number << 4) | flags), remaining ?? varint(bytes.length), bytes]);
}

export interface WillFields {
  readonly topic: Bytes;
  readonly payload?: Bytes;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: SentProperties;
}

export interface ConnectFields {
  readonly version?: Version;
  readonly protocolName?: Bytes;
  readonly protocolLevel?: number;
  /** Default: empty. */
  readonly clientId?: Bytes;
  /** Clean session, clean start. Default: true. */
  readonly clean?: boolean;
  readonly keepAliveS?: number;
  readonly will?: WillFields;
  readonly username?: Bytes;
  readonly password?: Bytes;
  readonly properties?: SentProperties;
  /** Replaces the connect flags that follow from the other fields. */
  readonly connectFlags?: number;
  /** Flags of the fixed header. */
  readonly flags?: number;
  /** Bytes after the last field, inside the remaining length. */
  readonly trailer?: Bytes;
}

export function connect(fields: ConnectFields = {}): Buffer {
  const { will, username, password } = fields;
  const version = fields.version ?? 4;
  let flags = (fields.clean ?? true) ? 0x02 : 0;
  if (will) flags |= 0x04 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0);
  if (username !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  const body = [
    prefixed(fields.protocolName ?? (version === 3 ? 'MQIsdp' : 'MQTT')),
    u8(fields.protocolLevel ?? version),
    u8(fields.connectFlags ?? flags),
    u16(fields.keepAliveS ?? 60),
  ];
  if (version === 5) body.push(encodeProperties(fields.properties));
  body.push(prefixed(fields.clientId ?? ''));
  if (will) {
    if (version === 5) body.push(encodeProperties(will.properties));
    body.push(prefixed(will.topic), prefixed(will.payload ?? ''));
  }
  if (username !== undefined) body.push(prefixed(username));
  if (password !== undefined) body.push(prefixed(password));
  if (fields.trailer !== undefined) body.push(raw(fields.trailer));
  return packet('connect', fields.flags ?? 0, body);
}

export interface PublishFields {
  readonly version?: Version;
  readonly topic: Bytes;
  readonly payload?: Bytes;
  /** 3 is the reserved value. */
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  /** Written when it is there, or (default 1) when QoS is above 0. */
  readonly packetId?: number;
  readonly properties?: SentProperties;
  readonly flags?: number;
}

export function publish(fields: PublishFields): Buffer {
  const qos = fields.qos ?? 0;
  const flags = (fields.dup ? 8 : 0) | (qos << 1) | (fields.retain ? 1 : 0);
  const body = [prefixed(fields.topic)];
  if (qos > 0 || fields.packetId !== undefined) body.push(u16(fields.packetId ?? 1));
  if (fields.version === 5) body.push(encodeProperties(fields.properties));
  body.push(raw(fields.payload ?? ''));
  return packet('publish', fields.flags ?? flags, body);
}

export interface AckFields {
  readonly packetId: number;
  /** v5; left out together with the properties when neither is given. */
  readonly reason?: number;
  readonly properties?: SentProperties;
  readonly flags?: number;
}

export function ack(
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' | 'suback' | 'unsuback',
  fields: AckFields,
): Buffer {
  const body = [u16(fields.packetId)];
  if (fields.reason !== undefined || fields.properties) body.push(u8(fields.reason ?? 0));
  if (fields.properties) body.push(encodeProperties(fields.properties));
  return packet(type, fields.flags ?? (type === 'pubrel' ? 2 : 0), body);
}

export interface FilterFields {
  readonly filter: Bytes;
  readonly qos?: number;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: number;
  /** Replaces the whole options byte. */
  readonly options?: number;
}

export interface SubscribeFields {
  readonly version?: Version;
  readonly packetId?: number;
  /** A string stands for QoS 0 and no options. */
  readonly filters: readonly (string | FilterFields)[];
  readonly properties?: SentProperties;
  readonly flags?: number;
}

export function subscribe(fields: SubscribeFields): Buffer {
  const body = [u16(fields.packetId ?? 1)];
  if (fields.version === 5) body.push(encodeProperties(fields.properties));
  for (const entry of fields.filters) {
    const f = typeof entry === 'string' ? { filter: entry } : entry;
    const bits =
      (f.qos ?? 0) |
      (f.noLocal ? 4 : 0) |
      (f.retainAsPublished ? 8 : 0) |
      ((f.retainHandling ?? 0) << 4);
    body.push(prefixed(f.filter), u8(f.options ?? bits));
  }
  return packet('subscribe', fields.flags ?? 2, body);
}

export interface UnsubscribeFields {
  readonly version?: Version;
  readonly packetId?: number;
  readonly filters: readonly Bytes[];
  readonly properties?: SentProperties;
  readonly flags?: number;
}

export function unsubscribe(fields: UnsubscribeFields): Buffer {
  const body = [u16(fields.packetId ?? 1)];
  if (fields.version === 5) body.push(encodeProperties(fields.properties));
  body.push(...fields.filters.map(prefixed));
  return packet('unsubscribe', fields.flags ?? 2, body);
}

export function pingreq(): Buffer {
  return packet('pingreq', 0);
}

export interface DisconnectFields {
  /** v5; left out together with the properties when neither is given. */
  readonly reason?: number;
  readonly properties?: SentProperties;
  readonly flags?: number;
}

export function disconnect(fields: DisconnectFields = {}): Buffer {
  const body: Buffer[] = [];
  if (fields.reason !== undefined || fields.properties) body.push(u8(fields.reason ?? 0));
  if (fields.properties) body.push(encodeProperties(fields.properties));
  return packet('disconnect', fields.flags ?? 0, body);
}

export function auth(fields: DisconnectFields = {}): Buffer {
  const body: Buffer[] = [];
  if (fields.reason !== undefined || fields.properties) body.push(u8(fields.reason ?? 0));
  if (fields.properties) body.push(encodeProperties(fields.properties));
  return packet('auth', fields.flags ?? 0, body);
}
