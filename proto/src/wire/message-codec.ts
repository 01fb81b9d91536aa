import { queueId } from '@lmqtt/common/ids';
import { Message, noEntries, type OrderKey, type QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { texts } from './texts.ts';
import { WireError } from './wire-error.ts';
import type { WireReader } from './wire-reader.ts';
import { paddedLengthBytes, type WireWriter } from './wire-writer.ts';

// Message of link.proto. The body is the part of a 3.1.1 PUBLISH at QoS 1 or 2 after its fixed
// header, so that a message is copied at once, whoever has read it, and needs no copy to be sent.

const bodyTag = 0x0a;
const flagsTag = 0x10;
const propertiesTag = 0x1a;
const expiresTag = 0x20;
const publisherTag = 0x2a;
const entriesTag = 0x32;
const orderKeyTag = 0x3a;
const expiryTag = 0x40;
const storedTag = 0x48;

const retainFlag = 4;
/** Left free for whoever sends it to a client. */
const packetIdentifierBytes = 2;
const entryBytesMax = 2 + 4 * 9;
const fixedBytesMax = 96;
/** Up to here a loop is quicker than a native copy. */
const loopBytesMax = 48;

function copy(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  if (end - start > loopBytesMax) {
    source.copy(target, at, start, end);
    return;
  }
  for (let from = start, to = at; from < end; from++, to++) target[to] = source[from]!;
}

/** A message that came from the other end, which keeps it until its publish is answered. */
export class SentMessage extends Message {
  /** The end that it came by. */
  origin: object | undefined = undefined;
  /** Number of its publish, as that end numbered it; 0: it is not kept. */
  number = 0;
}

/** Writes the message as a field; reserves for itself. */
export function writeMessage(
  writer: WireWriter,
  tag: number,
  message: Message,
  withPublisher: boolean,
): void {
  const { buffer: source, topicStart, payloadStart, payloadEnd, properties, entries } = message;
  const payloadBytes = payloadEnd - payloadStart;
  const topicBytes = topicStart < 0 ? -1 : (source[topicStart]! << 8) | source[topicStart + 1]!;
  const bodyBytesMax = (topicBytes < 0 ? message.topic.length * 3 : topicBytes) + payloadBytes;
  writer.reserve(
    bodyBytesMax + (properties?.length ?? 0) + entries.length * entryBytesMax + fixedBytesMax,
  );
  const opened = writer.open(tag);
  const { buffer } = writer;
  let { at } = writer;
  buffer[at++] = bodyTag;
  if (topicBytes < 0) {
    const bodyAt = at + paddedLengthBytes;
    const length = buffer.write(message.topic, bodyAt + 2, 'utf8');
    buffer.writeUInt16BE(length, bodyAt);
    const payloadAt = bodyAt + 2 + length + packetIdentifierBytes;
    source.copy(buffer, payloadAt, payloadStart, payloadEnd);
    writer.at = payloadAt + payloadBytes;
    writer.close(bodyAt - writer.start);
  } else {
    writer.at = at;
    writer.varint(2 + topicBytes + packetIdentifierBytes + payloadBytes);
    at = writer.at;
    const topicEnd = topicStart + 2 + topicBytes;
    if (payloadStart === topicEnd + packetIdentifierBytes) {
      copy(source, topicStart, payloadEnd, buffer, at);
    } else {
      copy(source, topicStart, topicEnd, buffer, at);
      copy(source, payloadStart, payloadEnd, buffer, at + 2 + topicBytes + packetIdentifierBytes);
    }
    writer.at = at + 2 + topicBytes + packetIdentifierBytes + payloadBytes;
  }
  writer.number(flagsTag, message.qos + (message.retain ? retainFlag : 0));
  if (properties !== undefined) writer.bytes(propertiesTag, properties);
  writer.number(expiresTag, message.expiresAtMs);
  if (withPublisher) {
    writer.text(publisherTag, message.publisher);
    writer.reserve(entries.length * entryBytesMax + fixedBytesMax);
  }
  for (let index = 0; index < entries.length; index++) writeEntry(writer, entries[index]!);
  if (message.orderKey !== undefined) writeOrderKey(writer, orderKeyTag, message.orderKey);
  writer.number(expiryTag, message.expiryS);
  writer.number(storedTag, message.storedMs);
  writer.close(opened);
}

/** Writes what the store has added to a message that the other end has. */
export function writeEcho(writer: WireWriter, tag: number, message: SentMessage): void {
  const { entries } = message;
  writer.reserve(entries.length * entryBytesMax + fixedBytesMax);
  const opened = writer.open(tag);
  writer.number(0x08, message.number);
  for (let index = 0; index < entries.length; index++) writeEntry(writer, entries[index]!);
  if (message.orderKey !== undefined) writeOrderKey(writer, orderKeyTag, message.orderKey);
  writer.number(storedTag, message.storedMs);
  writer.close(opened);
}

/** Result of an echo. */
export interface Echo {
  number: number;
  entries: QueueEntry[];
  orderKey: OrderKey | undefined;
  storedMs: number;
}

/** Reads the fields of an echo up to the limit. */
export function readEcho(reader: WireReader, echo: Echo): void {
  echo.number = 0;
  echo.entries = [];
  echo.orderKey = undefined;
  echo.storedMs = 0;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) echo.number = reader.varint();
    else if (tag === entriesTag) echo.entries.push(readEntry(reader));
    else if (tag === orderKeyTag) echo.orderKey = readOrderKey(reader);
    else if (tag === storedTag) echo.storedMs = reader.varint();
    else reader.skip(tag);
  }
}

function writeEntry(writer: WireWriter, entry: QueueEntry): void {
  writer.buffer[writer.at] = entriesTag;
  const lengthAt = writer.at + 1;
  writer.at += 2;
  writer.number(0x08, entry.queue);
  writer.number(0x10, entry.partition);
  writer.number(0x18, entry.offset + 1);
  writer.number(0x20, entry.offset - entry.previous);
  writer.buffer[lengthAt] = writer.at - lengthAt - 1;
}

/** The caller has reserved. */
export function writeOrderKey(writer: WireWriter, tag: number, key: OrderKey): void {
  writer.buffer[writer.at] = tag;
  const lengthAt = writer.at + 1;
  writer.at += 2;
  writer.number(0x08, key.placement);
  writer.number(0x10, key.offset);
  writer.buffer[lengthAt] = writer.at - lengthAt - 1;
}

/** Reads a field that is a message. */
export function readMessage(reader: WireReader): Message {
  return readInto(reader, '', Message);
}

/** Reads a message that its publisher's node sends: it does not name the publisher. */
export function readSent(reader: WireReader, publisher: string): SentMessage {
  return readInto(reader, publisher, SentMessage);
}

function readInto<T extends Message>(
  reader: WireReader,
  publisherKnown: string,
  make: new (...parts: ConstructorParameters<typeof Message>) => T,
): T {
  const outer = reader.enter(reader.end());
  const { buffer } = reader;
  let bodyAt = -1;
  let bodyEnd = 0;
  let flags = 0;
  let properties: Buffer | undefined;
  let expiresAtMs = 0;
  let expiryS = 0;
  let publisher = publisherKnown;
  let entries: QueueEntry[] | undefined;
  let orderKey: OrderKey | undefined;
  let storedMs = 0;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    switch (tag) {
      case bodyTag:
        bodyEnd = reader.end();
        bodyAt = reader.at;
        reader.at = bodyEnd;
        break;
      case flagsTag:
        flags = reader.varint();
        break;
      case propertiesTag:
        properties = reader.bytes();
        break;
      case expiresTag:
        expiresAtMs = reader.varint();
        break;
      case expiryTag:
        expiryS = reader.varint();
        break;
      case publisherTag: {
        const end = reader.end();
        publisher = texts.of(buffer, reader.at, end).text;
        reader.at = end;
        break;
      }
      case entriesTag: {
        const entry = readEntry(reader);
        if (entries === undefined) entries = [entry];
        else entries.push(entry);
        break;
      }
      case orderKeyTag:
        orderKey = readOrderKey(reader);
        break;
      case storedTag:
        storedMs = reader.varint();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outer);
  if (bodyAt < 0 || bodyEnd - bodyAt < 2 + packetIdentifierBytes)
    throw new WireError('a message has no body');
  const topicEnd = bodyAt + 2 + ((buffer[bodyAt]! << 8) | buffer[bodyAt + 1]!);
  const qos = flags & 3;
  if (topicEnd + packetIdentifierBytes > bodyEnd)
    throw new WireError('a topic is longer than its message');
  if (qos === 3) throw new WireError('a message has no QoS');
  const message = new make(
    texts.of(buffer, bodyAt + 2, topicEnd).text,
    qos as Qos,
    (flags & retainFlag) !== 0,
    buffer,
    bodyAt,
    topicEnd + packetIdentifierBytes,
    bodyEnd,
    properties,
    expiresAtMs,
    publisher,
  );
  message.expiryS = expiryS;
  message.entries = entries ?? noEntries;
  message.orderKey = orderKey;
  message.storedMs = storedMs;
  return message;
}

function readEntry(reader: WireReader): QueueEntry {
  const outer = reader.enter(reader.end());
  let queue = 0;
  let partition = 0;
  let offset = -1;
  let step = 0;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) queue = reader.varint();
    else if (tag === 0x10) partition = reader.varint();
    else if (tag === 0x18) offset = reader.varint() - 1;
    else if (tag === 0x20) step = reader.varint();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { queue: queueId(queue), partition, offset, previous: offset - step };
}

export function readOrderKey(reader: WireReader): OrderKey {
  const outer = reader.enter(reader.end());
  let placement = 0;
  let offset = 0;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) placement = reader.varint();
    else if (tag === 0x10) offset = reader.varint();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { placement, offset };
}
