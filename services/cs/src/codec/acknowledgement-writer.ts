import { PacketType } from '../packet/packet-type.ts';
import { putU16 } from './bytes.ts';

// PUBACK, PUBREC, PUBREL, PUBCOMP, PINGRESP into a caller's buffer. In 5.0 the reason code is left
// out where it is 0 (3.4.2.1), and the properties always are. Each returns where the next one
// begins; an acknowledgement takes at most `acknowledgementBytesMax`.

export const acknowledgementBytesMax = 5;
export const pingrespBytes = 2;

function writeAcknowledgement(
  first: number,
  target: Buffer,
  at: number,
  packetId: number,
  reasonCode: number,
  version: number,
): number {
  target[at] = first;
  if (reasonCode === 0 || version < 5) {
    target[at + 1] = 2;
    return putU16(target, at + 2, packetId);
  }
  target[at + 1] = 3;
  const end = putU16(target, at + 2, packetId);
  target[end] = reasonCode;
  return end + 1;
}

export function writePuback(
  target: Buffer,
  at: number,
  packetId: number,
  reasonCode: number,
  version: number,
): number {
  return writeAcknowledgement(PacketType.puback << 4, target, at, packetId, reasonCode, version);
}

export function writePubrec(
  target: Buffer,
  at: number,
  packetId: number,
  reasonCode: number,
  version: number,
): number {
  return writeAcknowledgement(PacketType.pubrec << 4, target, at, packetId, reasonCode, version);
}

/** Flags 0010 [MQTT-3.6.1-1]. */
export function writePubrel(
  target: Buffer,
  at: number,
  packetId: number,
  reasonCode: number,
  version: number,
): number {
  return writeAcknowledgement(
    (PacketType.pubrel << 4) | 2,
    target,
    at,
    packetId,
    reasonCode,
    version,
  );
}

export function writePubcomp(
  target: Buffer,
  at: number,
  packetId: number,
  reasonCode: number,
  version: number,
): number {
  return writeAcknowledgement(PacketType.pubcomp << 4, target, at, packetId, reasonCode, version);
}

export function writePingresp(target: Buffer, at: number): number {
  target[at] = PacketType.pingresp << 4;
  target[at + 1] = 0;
  return at + pingrespBytes;
}
