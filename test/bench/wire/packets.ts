// The packets that the generator sends, built once. Only PUBLISH is sent often: its bytes are a
// template in which the packet identifier, the sequence number and the time are patched in place.
//
//   payload: sequence number u32, time in µs u32, publisher u32, filler

export type Qos = 0 | 1 | 2;
export type Version = 4 | 5;

export const packetType = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  disconnect: 14,
} as const;

export const payloadBytesMin = 12;

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(bytes.length);
  return Buffer.concat([head, bytes]);
}

function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [first];
  let rest = body.length;
  do {
    head.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

export interface ConnectOptions {
  readonly clientId: string;
  readonly version?: Version;
  readonly clean?: boolean;
  /** v5 only. */
  readonly receiveMaximum?: number;
  /** v5 only. */
  readonly sessionExpiryS?: number;
}

/** Keep alive is longer than any run, not 0: rumqttd refuses 0. */
const keepAliveS = 1200;

export function connectPacket(options: ConnectOptions): Buffer {
  const { clientId, version = 4, clean = true, receiveMaximum, sessionExpiryS } = options;
  const head = Buffer.from([version, clean ? 2 : 0, keepAliveS >> 8, keepAliveS & 0xff]);
  const parts = [text('MQTT'), head];
  if (version === 5) {
    const properties: number[] = [];
    if (sessionExpiryS !== undefined) {
      const four = Buffer.alloc(4);
      four.writeUInt32BE(sessionExpiryS);
      properties.push(0x11, ...four);
    }
    if (receiveMaximum !== undefined) {
      properties.push(0x21, receiveMaximum >> 8, receiveMaximum & 0xff);
    }
    parts.push(Buffer.from([properties.length, ...properties]));
  }
  return packet(0x10, ...parts, text(clientId));
}

export function subscribePacket(
  filters: readonly string[],
  qos: Qos,
  id: number,
  version: Version = 4,
): Buffer {
  const head = version === 5 ? [id >> 8, id & 0xff, 0] : [id >> 8, id & 0xff];
  const each = filters.flatMap((filter) => [text(filter), Buffer.from([qos])]);
  return packet(0x82, Buffer.from(head), ...each);
}

export const disconnectPacket: Buffer = Buffer.from([0xe0, 0]);

export interface PublishTemplate {
  readonly bytes: Buffer;
  /** Position of the packet identifier; -1 at QoS 0. */
  readonly idAt: number;
  readonly payloadAt: number;
}

/** For 3.1.1: publishers never need version 5. */
export function publishTemplate(
  topic: string,
  qos: Qos,
  payloadBytes: number,
  publisher: number,
): PublishTemplate {
  const payload = Buffer.alloc(payloadBytes, 'lmqtt ');
  payload.writeUInt32BE(publisher, 8);
  const id = Buffer.alloc(qos > 0 ? 2 : 0);
  const bytes = packet(0x30 | (qos << 1), text(topic), id, payload);
  const payloadAt = bytes.length - payloadBytes;
  return { bytes, idAt: qos > 0 ? payloadAt - 2 : -1, payloadAt };
}
