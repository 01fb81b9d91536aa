import { isTime, positionSince, timeOf } from '@lmqtt/common/cursor';
import { queueId, sessionHandle, type SessionHandle } from '@lmqtt/common/ids';
import { presentedSession } from '../calls.ts';
import type { PresentedSession, Publish, ReadRequest, SessionWrite } from '../link.ts';
import type { Channel, Exchange } from './exchange.ts';
import { ItemField } from './item.ts';
import { readSent, type SentMessage, writeMessage } from './message-codec.ts';
import { readSessionWrite, writeSessionWrite } from './session-write-codec.ts';
import { WireError } from './wire-error.ts';
import type { WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

// Items of a cs, written by cs and read by ds: see link.proto.

/** A publish as ds has it. */
export interface NumberedPublish extends Publish {
  /** Names it in the answer; 0 at QoS 0, which is answered only where refused. */
  readonly number: number;
}

/** Work of ds for each item that arrives, called in their order. */
export interface UpstreamHandler {
  /** The client of a session, which is the publisher of its publishes; undefined: unknown. */
  clientOf(session: SessionHandle): string | undefined;
  publishes(batch: NumberedPublish[]): void;
  /** `number` 0: nobody asks when it is durable. */
  writes(number: number, batch: SessionWrite[]): void;
  credit(session: SessionHandle, messagesTotal: number): void;
  call(id: number, method: number, body: Buffer): void;
  read(id: number, request: ReadRequest): void;
  presents(sessions: PresentedSession[], last: boolean): void;
}

const fixedBytesMax = 80;

/** QoS 1 and 2 are numbered from `first` on, in their order; QoS 0 is not. */
export function writePublishes(exchange: Exchange, first: number, batch: readonly Publish[]): void {
  let number = first;
  let writer: WireWriter | undefined;
  for (let index = 0; index < batch.length; index++) {
    const publish = batch[index]!;
    const { message } = publish;
    if (writer === undefined || exchange.fullFor(message.payloadBytes)) {
      if (writer !== undefined) exchange.close();
      writer = openPublishes(exchange, number, message.payloadBytes);
    } else exchange.countEntry();
    if (message.qos > 0) number += 1;
    writer.reserve(fixedBytesMax);
    const opened = writer.open(0x12);
    writer.number(0x08, publish.session);
    writer.number(0x10, publish.packetId);
    writeMessage(writer, 0x1a, message, false);
    writer.close(opened);
  }
  writer ??= openPublishes(exchange, number, 0);
  exchange.close();
}

function openPublishes(exchange: Exchange, first: number, bytes: number): WireWriter {
  exchange.beginLarge(bytes);
  const writer = exchange.open(ItemField.publishes, 'bulk');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, first);
  return writer;
}

export function writeWrites(
  exchange: Exchange,
  number: number,
  batch: readonly SessionWrite[],
): void {
  const writer = exchange.open(ItemField.writes, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, number);
  for (let index = 0; index < batch.length; index++) writeSessionWrite(writer, 0x12, batch[index]!);
  exchange.close();
}

export function writeCredit(
  exchange: Exchange,
  session: SessionHandle,
  messagesTotal: number,
): void {
  const writer = exchange.open(ItemField.credit, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, session);
  writer.number(0x10, messagesTotal);
  exchange.close();
}

/** Channel `bulk` keeps the item behind the publishes of its session. */
export function writeCall(
  exchange: Exchange,
  channel: Channel,
  id: number,
  method: number,
  body: Buffer,
): void {
  const writer = exchange.open(ItemField.call, channel);
  writer.reserve(fixedBytesMax);
  writer.number(0x08, id);
  writer.number(0x10, method);
  writer.bytes(0x1a, body);
  exchange.close();
}

export function writeRead(exchange: Exchange, id: number, request: ReadRequest): void {
  const writer = exchange.open(ItemField.read, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, id);
  writer.number(0x10, request.queue);
  writer.number(0x18, request.partition);
  const { from } = request;
  writer.number(isTime(from) ? 0x38 : 0x20, isTime(from) ? timeOf(from) : from);
  writer.number(0x28, request.messagesMax);
  writer.number(0x30, request.bytesMax);
  exchange.close();
}

/** A part of the node's sessions; the last part says so. */
export function writePresents(
  exchange: Exchange,
  sessions: readonly PresentedSession[],
  last: boolean,
): void {
  let writer = exchange.open(ItemField.presents, 'control');
  for (const session of sessions) {
    if (exchange.fullFor(0)) {
      exchange.close();
      writer = exchange.open(ItemField.presents, 'control');
    }
    writer.bytes(0x0a, presentedSession.encode(session));
  }
  writer.reserve(fixedBytesMax);
  writer.flag(0x10, last);
  exchange.close();
}

/** Reads one item that came from a cs; to be called from `FrameTaker.item`. */
export function readUpstream(
  handler: UpstreamHandler,
  reader: WireReader,
  field: number,
  end: number,
): void {
  const outer = reader.enter(end);
  switch (field) {
    case ItemField.publishes:
      handler.publishes(readPublishes(handler, reader));
      break;
    case ItemField.writes: {
      let number = 0;
      const batch: SessionWrite[] = [];
      while (reader.at < reader.limit) {
        const tag = reader.varint();
        if (tag === 0x08) number = reader.varint();
        else if (tag === 0x12) batch.push(readSessionWrite(reader));
        else reader.skip(tag);
      }
      handler.writes(number, batch);
      break;
    }
    case ItemField.credit: {
      const [session, total] = readNumbers(reader, 2);
      handler.credit(sessionHandle(session!), total!);
      break;
    }
    case ItemField.call:
      readCall(handler, reader);
      break;
    case ItemField.read: {
      const [id, queue, partition, from, messagesMax, bytesMax, since] = readNumbers(reader, 7);
      handler.read(id!, {
        queue: queueId(queue!),
        partition: partition!,
        from: since! > 0 ? positionSince(since!) : from!,
        messagesMax: messagesMax!,
        bytesMax: bytesMax!,
      });
      break;
    }
    case ItemField.presents: {
      let last = false;
      const sessions: PresentedSession[] = [];
      while (reader.at < reader.limit) {
        const tag = reader.varint();
        if (tag === 0x0a) sessions.push(decodeSession(reader.bytes()));
        else if (tag === 0x10) last = reader.varint() !== 0;
        else reader.skip(tag);
      }
      handler.presents(sessions, last);
      break;
    }
    default:
      throw new WireError(`an item that ds does not know: ${field}`);
  }
  reader.leave(outer);
}

function readPublishes(handler: UpstreamHandler, reader: WireReader): NumberedPublish[] {
  const batch: NumberedPublish[] = [];
  let next = 0;
  let lastSession = -1;
  let lastClient = '';
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) {
      next = reader.varint();
      continue;
    }
    if (tag !== 0x12) {
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter(reader.end());
    let session: SessionHandle = sessionHandle(0);
    let packetId = 0;
    let message: SentMessage | undefined;
    while (reader.at < reader.limit) {
      const inner = reader.varint();
      if (inner === 0x08) session = sessionHandle(reader.varint());
      else if (inner === 0x10) packetId = reader.varint();
      else if (inner === 0x1a) {
        if (session !== lastSession) {
          lastSession = session;
          lastClient = handler.clientOf(session) ?? '';
        }
        message = readSent(reader, lastClient);
      } else reader.skip(inner);
    }
    reader.leave(outer);
    if (message === undefined) throw new WireError('a publish without a message');
    const number = message.qos === 0 ? 0 : next++;
    message.origin = handler;
    message.number = number;
    batch.push({ session, packetId, message, reasonCode: 0, number });
  }
  return batch;
}

function readCall(handler: UpstreamHandler, reader: WireReader): void {
  let id = 0;
  let method = 0;
  let body: Buffer = Buffer.alloc(0);
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) id = reader.uint32();
    else if (tag === 0x10) method = reader.uint32();
    else if (tag === 0x1a) body = reader.bytes();
    else reader.skip(tag);
  }
  handler.call(id, method, body);
}

/** An error of the loader's decoder is a mistake of whoever wrote the bytes. */
function decodeSession(body: Buffer): PresentedSession {
  try {
    return presentedSession.decode(body);
  } catch (error) {
    throw new WireError('a presented session cannot be read', { cause: error });
  }
}

/** The fields 1 to `count` of a message that has only numbers. */
export function readNumbers(reader: WireReader, count: number): number[] {
  const numbers = Array.from({ length: count }, () => 0);
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    const field = tag >>> 3;
    if ((tag & 7) === 0 && field >= 1 && field <= count) numbers[field - 1] = reader.varint();
    else reader.skip(tag);
  }
  return numbers;
}
