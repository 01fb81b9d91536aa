import type { Qos } from '@lmqtt/common/qos';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Connect, ConnectWill } from '../packet/connect.ts';
import { PacketType } from '../packet/packet-type.ts';
import type { ProtocolVersion } from '../packet/packet-type.ts';
import { willProperties } from '../packet/property.ts';
import type { ByteCursor } from './cursor.ts';
import { malformed, protocolError, refused } from './malformed-packet.ts';
import type { MessageProperties } from './message-property-reader.ts';
import { readMessageProperties } from './message-property-reader.ts';
import type { Properties } from './property-reader.ts';
import { propertiesOf, readProperties } from './property-reader.ts';

// CONNECT, section 3.1:
//
//     protocol name | protocol level | connect flags | u16 keep alive | properties (5.0)
//     client identifier | [ will properties (5.0) | will topic | will payload ]
//     [ user name ] | [ password ]

const Flag = {
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  userName: 0x80,
} as const;

/** Set in the protocol level of a bridge, as mosquitto has it: its version is 3.1 or 3.1.1. */
const bridgeLevel = 0x80;

/** The protocol name and level. `level` is called with what came, before it is judged. */
export function readProtocolVersion(
  cursor: ByteCursor,
  level: (protocolLevel: number) => void,
): ProtocolVersion {
  const name = cursor.string('protocol name');
  // [MQTT-3.1.2-1]
  if (name !== 'MQTT' && name !== 'MQIsdp') protocolError('protocol name: not MQTT');
  const value = cursor.byte('protocol level');
  level(value);
  if (name === 'MQTT' && value === 5) return 5;
  const version = value & ~bridgeLevel;
  if (name === 'MQTT' && version === 4) return 4;
  if (name === 'MQIsdp' && version === 3) return 3;
  // [MQTT-3.1.2-2]
  return refused(ReasonCode.unsupportedProtocolVersion, `protocol level: ${name} ${value}`);
}

function readFlags(cursor: ByteCursor, version: ProtocolVersion): number {
  const flags = cursor.byte('connect flags');
  // [MQTT-3.1.2-3]; 3.1 does not use the bit and does not demand a value.
  if (version !== 3 && (flags & Flag.reserved) !== 0) malformed('connect flags: reserved bit');
  if ((flags & Flag.will) === 0) {
    // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
    if ((flags & (Flag.willQos | Flag.willRetain)) !== 0) {
      malformed('connect flags: will QoS or will retain without a will');
    }
  } else if ((flags & Flag.willQos) === Flag.willQos) {
    // [MQTT-3.1.2-12]
    malformed('connect flags: will QoS 3');
  }
  // [MQTT-3.1.2-22] of 3.1.1; 5.0 allows it.
  if (version < 5 && (flags & Flag.password) !== 0 && (flags & Flag.userName) === 0) {
    malformed('connect flags: password without user name');
  }
  return flags;
}

function readWill(cursor: ByteCursor, flags: number, version: ProtocolVersion): ConnectWill {
  const message: MessageProperties = {
    properties: undefined,
    messageExpiryS: undefined,
    topicAlias: 0,
    payloadFormatIndicator: 0,
    hasResponseTopic: false,
  };
  const delayS =
    version === 5 ? readMessageProperties(propertiesOf(cursor), willProperties, message) : 0;
  const topic = cursor.string('will topic');
  if (topic === '' || topic.includes('+') || topic.includes('#')) {
    refused(ReasonCode.topicNameInvalid, 'will topic: empty or with a wildcard');
  }
  return {
    topic,
    payload: cursor.binary('will payload'),
    qos: ((flags & Flag.willQos) >> 3) as Qos,
    retain: (flags & Flag.willRetain) !== 0,
    delayS,
    messageExpiryS: message.messageExpiryS,
    payloadFormatIndicator: message.payloadFormatIndicator,
    properties: message.properties && Buffer.from(message.properties),
  };
}

/** Reads a CONNECT behind protocol name and level. */
export function readConnect(
  cursor: ByteCursor,
  version: ProtocolVersion,
  protocolLevel: number,
): Connect {
  const flags = readFlags(cursor, version);
  const keepAliveS = cursor.u16('keep alive');
  const properties: Properties = version === 5 ? readProperties(cursor, PacketType.connect) : {};
  const { authenticationMethod, authenticationData } = properties;
  if (authenticationData !== undefined && authenticationMethod === undefined) {
    protocolError('authentication data without a method');
  }
  const clientId = cursor.string('client identifier');
  const will = (flags & Flag.will) === 0 ? undefined : readWill(cursor, flags, version);
  // 3.1: the remaining length takes precedence over these two flags.
  const given = (flag: number): boolean =>
    (flags & flag) !== 0 && !(version === 3 && cursor.left === 0);
  const userName = given(Flag.userName) ? cursor.string('user name') : undefined;
  const password = given(Flag.password) ? cursor.binary('password') : undefined;
  cursor.done();
  return {
    protocolVersion: version,
    isBridge: protocolLevel >= bridgeLevel,
    clientId,
    cleanStart: (flags & Flag.cleanStart) !== 0,
    keepAliveS,
    will,
    userName,
    password,
    sessionExpiryS: properties.sessionExpiryInterval,
    receiveMaximum: properties.receiveMaximum ?? 0xffff,
    maximumPacketSize: properties.maximumPacketSize,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestResponseInformation: properties.requestResponseInformation ?? false,
    requestProblemInformation: properties.requestProblemInformation ?? true,
    authenticationMethod,
    authenticationData,
  };
}
