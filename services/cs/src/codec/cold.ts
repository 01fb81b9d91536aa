import { ReasonCode } from '@lmqtt/common/reason-code';
import { generate, writeToStream } from 'mqtt-packet';
import type { IConnackPacket, Packet, UserProperties } from 'mqtt-packet';
import type {
  Connack,
  Explanation,
  FilterAnswers,
  ServerAuth,
  ServerDisconnect,
} from '../packet/outgoing.ts';
import { PacketType } from '../packet/packet-type.ts';
import { putU16, putVarint } from './bytes.ts';
import { PropertyId, type UserProperty } from '../packet/property.ts';

// The outbound packets that are rare, encoded by mqtt-packet. Reason string and user properties are
// left out, the latter first, where the packet would be larger than the client takes
// [MQTT-3.2.2-19], [MQTT-3.2.2-20] and their like for the other packets.

type Spoken = {
  readonly reasonString?: string;
  readonly userProperties?: UserProperties;
};

// The library would keep a buffer for each of the 65,536 packet identifiers.
writeToStream.cacheNumbers = false;

const noBytes = Buffer.alloc(0);
/** Length of the properties of a packet that has none. */
const noProperties = Buffer.alloc(1);

const fiveZero = { protocolVersion: 5 };

/** Return codes of CONNACK in 3.1 and 3.1.1, table 3.1 there. */
const ReturnCode = {
  accepted: 0,
  unacceptableProtocolVersion: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badUserNameOrPassword: 4,
  notAuthorized: 5,
} as const;

/** The return code of 3.1.1 that comes closest; only these may be sent. */
export function connackReturnCode(reasonCode: number): number {
  switch (reasonCode) {
    case ReasonCode.success:
      return ReturnCode.accepted;
    case ReasonCode.unsupportedProtocolVersion:
      return ReturnCode.unacceptableProtocolVersion;
    case ReasonCode.clientIdentifierNotValid:
      return ReturnCode.identifierRejected;
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.badAuthenticationMethod:
      return ReturnCode.badUserNameOrPassword;
    case ReasonCode.notAuthorized:
    case ReasonCode.banned:
      return ReturnCode.notAuthorized;
    default:
      return ReturnCode.serverUnavailable;
  }
}

/** `version` 0 (not known, not supported) stands for 3.1.1, here and below. */
export function connack(packet: Connack, version: number, maximumPacketSize?: number): Buffer {
  if (version < 5) {
    const code = connackReturnCode(packet.reasonCode);
    return Buffer.from([PacketType.connack << 4, 2, packet.sessionPresent ? 1 : 0, code]);
  }
  const properties = connackProperties(packet);
  return explained(packet, maximumPacketSize, (spoken) => ({
    cmd: 'connack',
    sessionPresent: packet.sessionPresent,
    reasonCode: packet.reasonCode,
    properties: { ...properties, ...spoken },
  }));
}

export function suback(
  { packetId, reasonCodes, reasonString }: FilterAnswers & { readonly reasonString?: string },
  version: number,
): Buffer {
  const codes = Buffer.from(reasonCodes);
  if (version === 5) {
    const properties = reasonString === undefined ? noProperties : reasonProperty(reasonString);
    return filterAnswers(PacketType.suback, packetId, properties, codes);
  }
  // [MQTT-3.9.3-2] of 3.1.1: only 0x80 says failure.
  for (let at = 0; at < codes.length; at += 1) codes[at] = Math.min(codes[at]!, 0x80);
  return filterAnswers(PacketType.suback, packetId, noBytes, codes);
}

export function unsuback({ packetId, reasonCodes }: FilterAnswers, version: number): Buffer {
  return version === 5
    ? filterAnswers(PacketType.unsuback, packetId, noProperties, Buffer.from(reasonCodes))
    : filterAnswers(PacketType.unsuback, packetId, noBytes, noBytes);
}

/** Properties of nothing but a reason string, which is short. */
function reasonProperty(reason: string): Buffer {
  const text = Buffer.from(reason);
  const head = Buffer.from([text.length + 3, PropertyId.reasonString, 0, text.length]);
  return Buffer.concat([head, text]);
}

/** SUBACK and UNSUBACK are written here, because they may have many codes. */
function filterAnswers(
  type: PacketType,
  packetId: number,
  properties: Buffer,
  codes: Buffer,
): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type << 4;
  const at = putVarint(head, 1, 2 + properties.length + codes.length);
  return Buffer.concat([head.subarray(0, putU16(head, at, packetId)), properties, codes]);
}

/** To a 5.0 client only: before that a server just closes. */
export function disconnectPacket(packet: ServerDisconnect, maximumPacketSize?: number): Buffer {
  const { reasonCode, serverReference } = packet;
  const properties = present({ serverReference });
  return explained(packet, maximumPacketSize, (spoken) => ({
    cmd: 'disconnect',
    reasonCode,
    properties: { ...properties, ...spoken },
  }));
}

/** PUBACK, 3.4, or PUBREC, 3.5, of a publish that is not taken. */
export function refusedPublish(
  cmd: 'puback' | 'pubrec',
  packet: Explanation & { readonly packetId: number; readonly reasonCode: number },
  maximumPacketSize?: number,
): Buffer {
  const { packetId: messageId, reasonCode } = packet;
  return explained(packet, maximumPacketSize, (spoken) => ({
    ...{ cmd, messageId, reasonCode },
    properties: { ...spoken },
  }));
}

export function authPacket(packet: ServerAuth, maximumPacketSize?: number): Buffer {
  const { reasonCode, authenticationMethod, authenticationData } = packet;
  const properties = present({ authenticationMethod, authenticationData });
  return explained(packet, maximumPacketSize, (spoken) => ({
    cmd: 'auth',
    reasonCode,
    properties: { ...properties, ...spoken },
  }));
}

type Present<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the keys that have no value: mqtt-packet would take them for a value. */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Present<T>;
}

function connackProperties(packet: Connack): NonNullable<IConnackPacket['properties']> {
  return present({
    sessionExpiryInterval: packet.sessionExpiryS,
    receiveMaximum: packet.receiveMaximum,
    maximumQoS: packet.maximumQos,
    retainAvailable: packet.retainAvailable,
    maximumPacketSize: packet.maximumPacketSize,
    assignedClientIdentifier: packet.assignedClientIdentifier,
    topicAliasMaximum: packet.topicAliasMaximum,
    wildcardSubscriptionAvailable: packet.wildcardSubscriptionAvailable,
    subscriptionIdentifiersAvailable: packet.subscriptionIdentifiersAvailable,
    sharedSubscriptionAvailable: packet.sharedSubscriptionAvailable,
    serverKeepAlive: packet.serverKeepAliveS,
    responseInformation: packet.responseInformation,
    serverReference: packet.serverReference,
    authenticationMethod: packet.authenticationMethod,
    authenticationData: packet.authenticationData,
  });
}

/** mqtt-packet groups the values by name: the order of values of one name is kept. */
function grouped(properties: readonly UserProperty[]): UserProperties {
  const values = new Map<string, string[]>();
  for (const [name, value] of properties) {
    const known = values.get(name);
    if (known) known.push(value);
    else values.set(name, [value]);
  }
  return Object.fromEntries(values);
}

function explained(
  { reasonString, userProperties }: Explanation,
  maximumPacketSize: number | undefined,
  packet: (spoken: Spoken) => Packet,
): Buffer {
  const reason = reasonString ? { reasonString } : {};
  const sizeMax = maximumPacketSize ?? Number.POSITIVE_INFINITY;
  if (userProperties && userProperties.length > 0) {
    const whole = generate(
      packet({ ...reason, userProperties: grouped(userProperties) }),
      fiveZero,
    );
    if (whole.length <= sizeMax) return whole;
  }
  const withReason = generate(packet(reason), fiveZero);
  return withReason.length <= sizeMax || !reasonString
    ? withReason
    : generate(packet({}), fiveZero);
}
