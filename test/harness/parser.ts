// A strict parser of what a server sends. Whatever a server may not send, reserved bits, reason
// codes or properties that the packet does not have, bytes left over, is an error and so fails the
// test that was reading: every conformance test also checks the form of all packets it receives.
import type { PacketType, Qos, Version } from './packets.ts';
import { packetTypes } from './packets.ts';
import type { Properties } from './properties.ts';
import { Fields } from './properties.ts';

export interface Connack {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  /** Return code before version 5. */
  readonly reason: number;
  readonly properties: Properties;
}
export interface Publish {
  readonly type: 'publish';
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 at QoS 0. */
  readonly packetId: number;
  readonly properties: Properties;
}
export interface Ack<T extends string = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'> {
  readonly type: T;
  readonly packetId: number;
  /** 0 before version 5. */
  readonly reason: number;
  readonly properties: Properties;
}
export interface Suback {
  readonly type: 'suback';
  readonly packetId: number;
  readonly reasons: number[];
  readonly properties: Properties;
}
export interface Unsuback {
  readonly type: 'unsuback';
  readonly packetId: number;
  /** Empty before version 5. */
  readonly reasons: number[];
  readonly properties: Properties;
}
export interface Pingresp {
  readonly type: 'pingresp';
}
export interface Disconnect {
  readonly type: 'disconnect';
  readonly reason: number;
  readonly properties: Properties;
}
export interface Auth {
  readonly type: 'auth';
  readonly reason: number;
  readonly properties: Properties;
}
export interface ServerPackets {
  connack: Connack;
  publish: Publish;
  puback: Ack<'puback'>;
  pubrec: Ack<'pubrec'>;
  pubrel: Ack<'pubrel'>;
  pubcomp: Ack<'pubcomp'>;
  suback: Suback;
  unsuback: Unsuback;
  pingresp: Pingresp;
  disconnect: Disconnect;
  auth: Auth;
}
export type ServerPacketType = keyof ServerPackets;
export type ServerPacket = ServerPackets[ServerPacketType];

const received = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const reasons5: Record<string, readonly number[]> = {
  connack: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ],
  puback: received,
  pubrec: received,
  pubrel: [0x00, 0x92],
  pubcomp: [0x00, 0x92],
  suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  disconnect: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  auth: [0x00, 0x18],
};

function reason(type: string, value: number, version: Version): number {
  const allowed =
    version === 5 ? reasons5[type] : type === 'suback' ? [0, 1, 2, 0x80] : [0, 1, 2, 3, 4, 5];
  if (!allowed?.includes(value)) {
    throw new Error(`reason code 0x${value.toString(16)} in a ${type} of version ${version}`);
  }
  return value;
}

function connack(fields: Fields, version: Version): Connack {
  const flags = fields.u8();
  if (flags > 1) throw new Error(`reserved connect acknowledge flags ${flags}`);
  const code = reason('connack', fields.u8(), version);
  if (code !== 0 && flags !== 0) throw new Error('session present in a refusal');
  const properties = version === 5 ? fields.properties('connack') : {};
  return { type: 'connack', sessionPresent: flags === 1, reason: code, properties };
}

function publish(fields: Fields, version: Version, flags: number): Publish {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw new Error('QoS 3');
  const dup = (flags & 8) !== 0;
  if (dup && qos === 0) throw new Error('DUP at QoS 0');
  const topic = fields.utf8();
  if (/[#+]/.test(topic)) throw new Error('wildcard in the topic name');
  const packetId = qos === 0 ? 0 : fields.u16();
  if (qos > 0 && packetId === 0) throw new Error('packet identifier 0');
  const properties = version === 5 ? fields.properties('publish') : {};
  if (topic === '' && properties.topicAlias === undefined) throw new Error('empty topic name');
  const payload = fields.take(fields.left);
  const retain = (flags & 1) !== 0;
  return { type: 'publish', topic, payload, qos: qos as Qos, retain, dup, packetId, properties };
}

function ack(type: Ack['type'], fields: Fields, version: Version): ServerPacket {
  const packetId = fields.u16();
  const code = version === 5 && fields.left > 0 ? reason(type, fields.u8(), 5) : 0;
  const properties = version === 5 && fields.left > 0 ? fields.properties(type) : {};
  return { type, packetId, reason: code, properties };
}

function codes(type: 'suback' | 'unsuback', fields: Fields, version: Version): Suback | Unsuback {
  const packetId = fields.u16();
  const properties = version === 5 ? fields.properties(type) : {};
  const reasons: number[] = [];
  if (type === 'suback' || version === 5) {
    while (fields.left > 0) reasons.push(reason(type, fields.u8(), version));
    if (reasons.length === 0) throw new Error('no reason codes');
  }
  return { type, packetId, reasons, properties };
}

function ended(type: 'disconnect' | 'auth', fields: Fields, version: Version): ServerPacket {
  if (version !== 5) throw new Error(`${type} from a server of version ${version}`);
  const code = fields.left > 0 ? reason(type, fields.u8(), version) : 0;
  const properties = fields.left > 0 ? fields.properties(type) : {};
  return { type, reason: code, properties };
}

function body(type: string, fields: Fields, version: Version, flags: number): ServerPacket {
  switch (type) {
    case 'connack':
      return connack(fields, version);
    case 'publish':
      return publish(fields, version, flags);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return ack(type, fields, version);
    case 'suback':
    case 'unsuback':
      return codes(type, fields, version);
    case 'pingresp':
      return { type };
    case 'disconnect':
    case 'auth':
      return ended(type, fields, version);
    default:
      throw new Error(`packet type ${type} from a server`);
  }
}

const nameOfType = new Map<number, PacketType>(
  (Object.keys(packetTypes) as PacketType[]).map((name) => [packetTypes[name], name]),
);

/** The first packet in `bytes` and its length, or undefined while it is not complete. */
export function parse(
  bytes: Buffer,
  version: Version,
): { readonly packet: ServerPacket; readonly length: number } | undefined {
  let size = 0;
  let at = 1;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    size += (byte & 0x7f) * 128 ** (at - 1);
    at += 1;
    if (byte < 0x80) break;
    if (at > 4) throw new Error('remaining length of more than 4 bytes');
  }
  if (bytes.length < at + size) return undefined;
  const first = bytes.readUInt8(0);
  const type = nameOfType.get(first >> 4) ?? 'reserved 0';
  const flags = first & 15;
  if (type !== 'publish' && flags !== (type === 'pubrel' ? 2 : 0)) {
    throw new Error(`flags ${flags} in a ${type}`);
  }
  const fields = new Fields(bytes.subarray(at, at + size));
  const packet = body(type, fields, version, flags);
  if (fields.left > 0) throw new Error(`${fields.left} bytes too many in a ${type}`);
  return { packet, length: at + size };
}
