// The methods of the service Dispatch, for both ends of gRPC: frames are bytes, which `wire` writes
// and reads.

export const protocolVersion = 4;

/** Metadata of the stream, from cs. */
export const metadataNames = {
  protocol: 'lmqtt-protocol',
  secret: 'lmqtt-secret',
  node: 'lmqtt-node',
  instance: 'lmqtt-instance',
  /** Facts about the node that operators see. */
  version: 'lmqtt-version',
  address: 'lmqtt-address',
  started: 'lmqtt-started',
  attachment: 'lmqtt-attachment',
  received: 'lmqtt-received',
} as const;

const identity = (frame: Buffer): Buffer => frame;

export interface ExchangeMethod {
  readonly path: string;
  readonly requestStream: true;
  readonly responseStream: true;
  readonly requestSerialize: (frame: Buffer) => Buffer;
  readonly requestDeserialize: (frame: Buffer) => Buffer;
  readonly responseSerialize: (frame: Buffer) => Buffer;
  readonly responseDeserialize: (frame: Buffer) => Buffer;
}

function frames(path: string): ExchangeMethod {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

export const exchangeMethod: ExchangeMethod = frames('/lmqtt.Dispatch/Exchange');
/**
 * The stream of renewals, over a connection of its own, so that they do not wait behind anything.
 */
export const pulsesMethod: ExchangeMethod = frames('/lmqtt.Dispatch/Pulses');

/** A frame takes no further item when it has so much; one large message may go beyond. */
export const frameBytesMax: number = 256 << 10;
