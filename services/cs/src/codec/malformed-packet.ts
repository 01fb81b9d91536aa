import { ReasonCode } from '@lmqtt/common/reason-code';

/** Thrown inside the decoders only; the reader turns it into `PacketSink.malformed`. */
export class MalformedPacket extends Error {
  readonly reasonCode: number;

  constructor(reasonCode: number, reason: string) {
    super(reason);
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

export function refused(reasonCode: number, reason: string): never {
  throw new MalformedPacket(reasonCode, reason);
}
