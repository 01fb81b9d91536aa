import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Auth } from '../packet/auth.ts';
import type { Disconnect } from '../packet/disconnect.ts';
import { PacketType } from '../packet/packet-type.ts';
import type { ByteCursor } from './cursor.ts';
import { malformed, protocolError } from './malformed-packet.ts';
import type { Properties } from './property-reader.ts';
import { readProperties } from './property-reader.ts';

// DISCONNECT, section 3.14, and AUTH, section 3.15:
//
//     [ reason code [ properties ] ]

/** 3.14.2.1: those that a client may send [MQTT-3.14.2-1]. */
const ofClient: ReadonlySet<number> = new Set([
  ReasonCode.success,
  ReasonCode.disconnectWithWill,
  ReasonCode.unspecifiedError,
  ReasonCode.malformedPacket,
  ReasonCode.protocolError,
  ReasonCode.implementationSpecificError,
  ReasonCode.topicNameInvalid,
  ReasonCode.receiveMaximumExceeded,
  ReasonCode.topicAliasInvalid,
  ReasonCode.packetTooLarge,
  ReasonCode.messageRateTooHigh,
  ReasonCode.quotaExceeded,
  ReasonCode.administrativeAction,
  ReasonCode.payloadFormatInvalid,
]);

const none: Properties = {};

export function readDisconnect(cursor: ByteCursor, version: number): Disconnect {
  if (version < 5) cursor.done();
  const reasonCode = cursor.left > 0 ? cursor.byte('reason code') : ReasonCode.success;
  if (!ofClient.has(reasonCode)) protocolError(`reason code: 0x${reasonCode.toString(16)}`);
  const properties = cursor.left > 0 ? readProperties(cursor, PacketType.disconnect) : none;
  cursor.done();
  return {
    reasonCode,
    sessionExpiryS: properties.sessionExpiryInterval,
    reasonString: properties.reasonString,
  };
}

export function readAuth(cursor: ByteCursor, version: number): Auth {
  if (version < 5) malformed('AUTH: not before 5.0');
  const reasonCode = cursor.left > 0 ? cursor.byte('reason code') : ReasonCode.success;
  // [MQTT-3.15.2-1] success comes only from a server.
  if (
    reasonCode !== ReasonCode.continueAuthentication &&
    reasonCode !== ReasonCode.reAuthenticate
  ) {
    protocolError(`reason code: 0x${reasonCode.toString(16)}`);
  }
  const properties = cursor.left > 0 ? readProperties(cursor, PacketType.auth) : none;
  cursor.done();
  const { authenticationMethod } = properties;
  if (authenticationMethod === undefined) return protocolError('AUTH: no authentication method');
  return {
    reasonCode,
    authenticationMethod,
    authenticationData: properties.authenticationData,
    reasonString: properties.reasonString,
  };
}
