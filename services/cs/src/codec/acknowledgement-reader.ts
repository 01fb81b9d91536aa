import { ReasonCode } from '@lmqtt/common/reason-code';
import { PacketType } from '../packet/packet-type.ts';
import { ByteCursor } from './cursor.ts';
import { malformed, protocolError } from './malformed-packet.ts';
import { readProperties } from './property-reader.ts';

// PUBACK, PUBREC, PUBREL, PUBCOMP, sections 3.4 to 3.7:
//
//     packet identifier [ reason code [ properties ] ]    (the latter two: 5.0)

type Acknowledgement =
  | typeof PacketType.puback
  | typeof PacketType.pubrec
  | typeof PacketType.pubrel
  | typeof PacketType.pubcomp;

/** 3.4.2.1, 3.5.2.1 [MQTT-3.4.2-1], [MQTT-3.5.2-1]. */
const ofPublish: ReadonlySet<number> = new Set([
  ReasonCode.success,
  ReasonCode.noMatchingSubscribers,
  ReasonCode.unspecifiedError,
  ReasonCode.implementationSpecificError,
  ReasonCode.notAuthorized,
  ReasonCode.topicNameInvalid,
  ReasonCode.packetIdentifierInUse,
  ReasonCode.quotaExceeded,
  ReasonCode.payloadFormatInvalid,
]);

/** 3.6.2.1, 3.7.2.1 [MQTT-3.6.2-1], [MQTT-3.7.2-1]. */
const ofRelease: ReadonlySet<number> = new Set([
  ReasonCode.success,
  ReasonCode.packetIdentifierNotFound,
]);

/** The packet identifier. */
export function readPacketIdentifier(buffer: Buffer, start: number, end: number): number {
  if (end - start < 2) malformed('packet identifier: packet too short');
  const packetId = (buffer[start]! << 8) | buffer[start + 1]!;
  // [MQTT-2.2.1-3]
  if (packetId === 0) protocolError('packet identifier: 0');
  return packetId;
}

/** The reason code behind the packet identifier; 0 if it was left out. */
export function readReasonCode(
  type: Acknowledgement,
  buffer: Buffer,
  start: number,
  end: number,
  version: number,
): number {
  if (end === start) return ReasonCode.success;
  const cursor = new ByteCursor(buffer, start, end);
  if (version < 5) cursor.done();
  const reasonCode = cursor.byte('reason code');
  const allowed = type === PacketType.puback || type === PacketType.pubrec ? ofPublish : ofRelease;
  if (!allowed.has(reasonCode)) protocolError(`reason code: 0x${reasonCode.toString(16)}`);
  if (cursor.left > 0) readProperties(cursor, type);
  cursor.done();
  return reasonCode;
}
