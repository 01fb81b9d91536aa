import { ReasonCode } from '@lmqtt/common/reason-code';
import type { SizeLimit } from '../packet/packet-sink.ts';

/** Thrown inside the decoders only; the reader turns it into `PacketSink.malformed`. */
export class MalformedPacket extends Error {
  readonly reasonCode: number;
  /** The setting that limits the size of the packet. */
  readonly limit: SizeLimit | undefined;

  constructor(reasonCode: number, reason: string, limit?: SizeLimit) {
    super(reason);
    this.limit = limit;
    this.name = 'MalformedPacket';
    this.reasonCode = reasonCode;
  }
}

/** The packet cannot be parsed, section 4.13.1. */
export function malformed(reason: string): never {
  throw new MalformedPacket(ReasonCode.malformedPacket, reason);
}

/** The packet can be parsed and is not allowed, section 4.13.1. */
export function protocolError(reason: string): never {
  throw new MalformedPacket(ReasonCode.protocolError, reason);
}

export function tooLarge(limit: SizeLimit, packetBytes: number): never {
  const reason = `packet of ${packetBytes} bytes`;
  throw new MalformedPacket(ReasonCode.packetTooLarge, reason, limit);
}

export function refused(reasonCode: number, reason: string): never {
  throw new MalformedPacket(reasonCode, reason);
}
