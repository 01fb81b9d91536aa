import { clientId, epoch, queueId } from '@lmqtt/common/ids';
import { Message, type QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { InboundId } from '../queue-store.ts';

/**
 * The body of a message record. Little endian, except for the topic's length, which is as in a
 * PUBLISH: the end of the record is the layout that {@link Message} describes, so that a message
 * in the log, in memory or read back is sent in the same way.
 *
 *     u8 flags  u16 queues  u16 bytes of publisher  u32 bytes of properties  f64 wall time ms
 *     [f64 expires at ms]  [u32 expiry s]  [f64 epoch  u16 packet id  [u16 bytes  client id]]
 *     for each queue: u48 queue  u48 offset
 *     publisher  properties  u16be bytes of topic  topic  2 bytes of no meaning  payload
 */
const flag = {
  ...{ qos: 3, retain: 4, expires: 8, inbound: 16, ownClient: 32, properties: 64 },
  /** The interval is known, too. */
  expiry: 128,
} as const;

/** Queues that the record of one message may name. */
export const recordQueuesMax = 0xffff;
const fixedBytes = 17;
const entryBytes = 12;
const two32 = 2 ** 32;
const textLoopMax = 48;

export function recordBytes(
  message: Message,
  queues: number,
  inbound: InboundId | undefined,
): number {
  let bytes = fixedBytes + queues * entryBytes + bytesOf(message.publisher);
  if (message.expiresAtMs !== 0) bytes += message.expiryS > 0 ? 12 : 8;
  if (inbound !== undefined) {
    bytes += 10;
    if (inbound.clientId !== message.publisher) bytes += 2 + bytesOf(inbound.clientId);
  }
  if (message.properties !== undefined) bytes += message.properties.length;
  return bytes + 4 + topicBytes(message) + message.payloadEnd - message.payloadStart;
}

/** Writes the record and points the message into it. */
export function encodeRecord(
  message: Message,
  entries: readonly QueueEntry[],
  inbound: InboundId | undefined,
  storedMs: number,
  into: Buffer,
  start: number,
): void {
  const { publisher, properties, expiresAtMs, expiryS } = message;
  const hasExpiry = expiresAtMs !== 0 && expiryS > 0;
  const ownClient = inbound !== undefined && inbound.clientId === publisher;
  into[start] =
    message.qos |
    (message.retain ? flag.retain : 0) |
    (expiresAtMs === 0 ? 0 : flag.expires) |
    (hasExpiry ? flag.expiry : 0) |
    (inbound === undefined ? 0 : flag.inbound) |
    (ownClient ? flag.ownClient : 0) |
    (properties === undefined ? 0 : flag.properties);
  putU16(into, start + 1, entries.length);
  putU32(into, start + 5, properties?.length ?? 0);
  let at = putDouble(into, start + 9, storedMs);
  if (expiresAtMs !== 0) at = putDouble(into, at, expiresAtMs);
  if (hasExpiry) at = putU32(into, at, expiryS);
  if (inbound !== undefined) {
    at = putDouble(into, at, inbound.epoch);
    at = putU16(into, at, inbound.packetId);
    if (!ownClient) {
      const end = putText(into, at + 2, inbound.clientId);
      putU16(into, at, end - at - 2);
      at = end;
    }
  }
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (entry === undefined) break;
    at = putU48(into, putU48(into, at, entry.queue), entry.offset);
  }
  const publisherEnd = putText(into, at, publisher);
  putU16(into, start + 3, publisherEnd - at);
  at = publisherEnd;
  if (properties !== undefined) {
    properties.copy(into, at);
    message.properties = into.subarray(at, at + properties.length);
    at += properties.length;
  }
  writeTopicAndPayload(message, into, at);
}

function writeTopicAndPayload(message: Message, into: Buffer, topicStart: number): void {
  const { buffer, payloadStart, payloadEnd } = message;
  let at = topicStart;
  if (message.topicStart >= 0) {
    const end = message.topicStart + 2 + topicBytes(message);
    if (payloadStart === end + 2) {
      // As in a 3.1.1 PUBLISH at QoS 1 or 2: one piece.
      buffer.copy(into, at, message.topicStart, payloadEnd);
      at += payloadStart - message.topicStart;
      point(message, into, topicStart, at, at + payloadEnd - payloadStart);
      return;
    }
    buffer.copy(into, at, message.topicStart, end);
    at += end - message.topicStart;
  } else {
    const bytes = into.write(message.topic, at + 2);
    into.writeUInt16BE(bytes, at);
    at += 2 + bytes;
  }
  into[at] = 0;
  into[at + 1] = 0;
  at += 2;
  buffer.copy(into, at, payloadStart, payloadEnd);
  point(message, into, topicStart, at, at + payloadEnd - payloadStart);
}

function point(
  message: Message,
  buffer: Buffer,
  topicStart: number,
  payloadStart: number,
  payloadEnd: number,
): void {
  message.buffer = buffer;
  message.topicStart = topicStart;
  message.payloadStart = payloadStart;
  message.payloadEnd = payloadEnd;
}

function topicBytes(message: Message): number {
  const { buffer, topicStart } = message;
  if (topicStart < 0) return Buffer.byteLength(message.topic);
  return ((buffer[topicStart] ?? 0) << 8) | (buffer[topicStart + 1] ?? 0);
}

// By hand: a call of Buffer's for each field costs more than all else of a record's head.

function putU16(into: Buffer, at: number, value: number): number {
  into[at] = value;
  into[at + 1] = value >>> 8;
  return at + 2;
}

function putU32(into: Buffer, at: number, value: number): number {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
  return at + 4;
}

function putU48(into: Buffer, at: number, value: number): number {
  return putU16(into, putU32(into, at, value >>> 0), Math.floor(value / two32));
}

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

function putDouble(into: Buffer, at: number, value: number): number {
  double[0] = value;
  for (let i = 0; i < 8; i++) into[at + i] = doubleBytes[i] ?? 0;
  return at + 8;
}

/** Names of clients are short and seldom anything but ASCII. */
function putText(into: Buffer, at: number, text: string): number {
  const { length } = text;
  if (length > textLoopMax) return at + into.write(text, at);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return at + into.write(text, at);
    into[at + i] = code;
  }
  return at + length;
}

let measuredText = '';
let measuredBytes = 0;

/** Messages of one publisher come in runs. */
function bytesOf(text: string): number {
  if (text !== measuredText) {
    measuredText = text;
    measuredBytes = Buffer.byteLength(text);
  }
  return measuredBytes;
}

function readUInt48(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt16LE(at + 4) * two32;
}

/** Wall clock of the append. */
export function storedMsOf(body: Buffer, start: number): number {
  return body.readDoubleLE(start + 9);
}

/** Fields of a record that replay needs. */
interface RecordHead {
  readonly inbound: InboundId | undefined;
  /** Queue and offset, one after the other. */
  readonly entries: number[];
}

export function decodeHead(body: Buffer): RecordHead {
  const flags = body[0] ?? 0;
  const queues = body.readUInt16LE(1);
  let at = fixedBytes + ((flags & flag.expires) === 0 ? 0 : 8);
  if ((flags & flag.expiry) !== 0) at += 4;
  const inboundAt = at;
  at = pastInbound(body, at, flags);
  const entries: number[] = [];
  for (let i = 0; i < queues; i++) {
    entries.push(readUInt48(body, at), readUInt48(body, at + 6));
    at += entryBytes;
  }
  if ((flags & flag.inbound) === 0) return { inbound: undefined, entries };
  const own = (flags & flag.ownClient) !== 0;
  const clientAt = own ? at : inboundAt + 12;
  const clientBytes = body.readUInt16LE(own ? 3 : inboundAt + 10);
  const inbound = {
    clientId: clientId(body.toString('utf8', clientAt, clientAt + clientBytes)),
    epoch: epoch(body.readDoubleLE(inboundAt)),
    packetId: body.readUInt16LE(inboundAt + 8),
  };
  return { inbound, entries };
}

function pastInbound(body: Buffer, at: number, flags: number): number {
  if ((flags & flag.inbound) === 0) return at;
  if ((flags & flag.ownClient) !== 0) return at + 10;
  return at + 12 + body.readUInt16LE(at + 10);
}

/** Texts that were read last, found by their bytes: topics and publishers repeat. */
class Texts {
  readonly #slots: { bytes: Buffer; text: string }[] = [];

  read(buffer: Buffer, start: number, length: number): string {
    if (length === 0) return '';
    const last = (buffer[start + length - 1] ?? 0) + (buffer[start + (length >> 1)] ?? 0) * 7;
    const slot = (length * 31 + last) & 255;
    const kept = this.#slots[slot];
    if (kept?.bytes.length === length && same(kept.bytes, buffer, start)) {
      return kept.text;
    }
    const text = buffer.toString('utf8', start, start + length);
    this.#slots[slot] = { bytes: Buffer.from(buffer.subarray(start, start + length)), text };
    return text;
  }
}

function same(a: Buffer, b: Buffer, start: number): boolean {
  const { length } = a;
  if (length > 64) return a.compare(b, start, start + length) === 0;
  for (let i = 0; i < length; i++) if (a[i] !== b[start + i]) return false;
  return true;
}

const topics = new Texts();
const publishers = new Texts();

/** `previous` belongs to the place in `queue`; in other queues it is the offset before. */
export function decodeRecord(
  buffer: Buffer,
  start: number,
  bytes: number,
  queue: number,
  previous: number,
): Message {
  const flags = buffer[start] ?? 0;
  const queues = buffer.readUInt16LE(start + 1);
  const publisherBytes = buffer.readUInt16LE(start + 3);
  const propertyBytes = buffer.readUInt32LE(start + 5);
  let at = start + fixedBytes;
  let expiresAtMs = 0;
  if ((flags & flag.expires) !== 0) {
    expiresAtMs = buffer.readDoubleLE(at);
    at += 8;
  }
  let expiryS = 0;
  if ((flags & flag.expiry) !== 0) {
    expiryS = buffer.readUInt32LE(at);
    at += 4;
  }
  at = pastInbound(buffer, at, flags);
  const entries: QueueEntry[] = [];
  for (let i = 0; i < queues; i++) {
    const id = readUInt48(buffer, at);
    const offset = readUInt48(buffer, at + 6);
    const before = id === queue ? previous : offset - 1;
    entries.push({ queue: queueId(id), partition: 0, offset, previous: before });
    at += entryBytes;
  }
  const publisher = publishers.read(buffer, at, publisherBytes);
  at += publisherBytes;
  const hasProperties = (flags & flag.properties) !== 0;
  const properties = hasProperties ? buffer.subarray(at, at + propertyBytes) : undefined;
  at += propertyBytes;
  const topicLength = buffer.readUInt16BE(at);
  const message = new Message(
    topics.read(buffer, at + 2, topicLength),
    (flags & flag.qos) as Qos,
    (flags & flag.retain) !== 0,
    buffer,
    at,
    at + 4 + topicLength,
    start + bytes,
    properties,
    expiresAtMs,
    publisher,
  );
  message.expiryS = expiryS;
  message.entries = entries;
  return message;
}
