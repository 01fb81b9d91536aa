import { groupId, queueId, sessionHandle, type SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '../assignment.ts';
import type { QueueEnd, ReadAnswer, Refusal } from '../link.ts';
import { ItemField } from './item.ts';
import { type Echo, readEcho, readMessage } from './message-codec.ts';
import { texts } from './texts.ts';
import { readNumbers } from './upstream.ts';
import { WireError } from './wire-error.ts';
import type { WireReader } from './wire-reader.ts';

// Items of a ds as cs reads them: see link.proto.

/** Work of cs for each item that arrives, called in their order. */
export interface DownstreamHandler {
  /** Reason codes of the publishes from number `first` on. */
  published(first: number, reasonCodes: Uint8Array): void;
  /** A publish at QoS 0. */
  refused(session: SessionHandle, reasonCode: number): void;
  /** A publish of this cs that has no answer yet, by its number; undefined: it was let go. */
  sent(number: number): Message | undefined;
  push(batch: Message[]): void;
  assign(batch: Assignment[]): void;
  fence(fence: GroupFence): void;
  kick(session: SessionHandle, reasonCode: number): void;
  rights(session: SessionHandle, rights: string | undefined): void;
  behind(ends: QueueEnd[]): void;
  /** Batches of writes by their numbers; `fenced`: they will never be durable. */
  durable(numbers: number[], fenced: number[]): void;
  answer(id: number, body: Buffer): void;
  failed(id: number, error: string): void;
  readAnswer(id: number, answer: ReadAnswer): void;
  presented(refusals: Refusal[]): void;
}

const noCodes: Uint8Array = new Uint8Array(0);

/** Reads one item that came from a ds; to be called from `FrameTaker.item`. */
export function readDownstream(
  handler: DownstreamHandler,
  reader: WireReader,
  field: number,
  end: number,
): void {
  const outer = reader.enter(end);
  switch (field) {
    case ItemField.published:
      readPublished(handler, reader);
      break;
    case ItemField.pushes: {
      const batch: Message[] = [];
      while (reader.at < reader.limit) {
        const tag = reader.varint();
        if (tag === 0x0a) batch.push(readMessage(reader));
        else reader.skip(tag);
      }
      handler.push(batch);
      break;
    }
    case ItemField.echoes:
      readEchoes(handler, reader);
      break;
    case ItemField.assignments: {
      const batch: Assignment[] = [];
      while (reader.at < reader.limit) {
        const tag = reader.varint();
        if (tag === 0x0a) batch.push(readAssignment(reader));
        else reader.skip(tag);
      }
      handler.assign(batch);
      break;
    }
    case ItemField.fence: {
      const [session, group, epoch, number] = readNumbers(reader, 4);
      handler.fence({
        session: sessionHandle(session!),
        group: groupId(group!),
        epoch: epoch!,
        number: number!,
      });
      break;
    }
    case ItemField.kick: {
      const [session, reasonCode] = readNumbers(reader, 2);
      handler.kick(sessionHandle(session!), reasonCode!);
      break;
    }
    case ItemField.rights:
      readRights(handler, reader);
      break;
    case ItemField.queueEnds: {
      const ends: QueueEnd[] = [];
      readEach(reader, 0x0a, () => {
        const [queue, partition, past] = readNumbers(reader, 3);
        ends.push({ queue: queueId(queue!), partition: partition!, end: past! });
      });
      handler.behind(ends);
      break;
    }
    case ItemField.durable: {
      const numbers: number[] = [];
      const fenced: number[] = [];
      while (reader.at < reader.limit) {
        const tag = reader.varint();
        if (tag !== 0x0a && tag !== 0x12) {
          reader.skip(tag);
          continue;
        }
        const list = tag === 0x0a ? numbers : fenced;
        const inner = reader.enter(reader.end());
        while (reader.at < reader.limit) list.push(reader.varint());
        reader.leave(inner);
      }
      handler.durable(numbers, fenced);
      break;
    }
    case ItemField.answer:
      readAnswer(handler, reader);
      break;
    case ItemField.readAnswer:
      readReadAnswer(handler, reader);
      break;
    case ItemField.presented: {
      const refusals: Refusal[] = [];
      readEach(reader, 0x0a, () => refusals.push(readRefused(reader)));
      handler.presented(refusals);
      break;
    }
    default:
      throw new WireError(`an item that cs does not know: ${field}`);
  }
  reader.leave(outer);
}

/** Messages within the message; `read` is called with the limit at their end. */
function readEach(reader: WireReader, wanted: number, read: () => void): void {
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag !== wanted) {
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter(reader.end());
    read();
    reader.leave(outer);
  }
}

/** One that was let go is a push that was lost: its places are to be read. */
function readEchoes(handler: DownstreamHandler, reader: WireReader): void {
  const batch: Message[] = [];
  const lost: QueueEnd[] = [];
  const echo: Echo = { number: 0, entries: [], orderKey: undefined, storedMs: 0 };
  readEach(reader, 0x0a, () => {
    readEcho(reader, echo);
    const { entries, orderKey, storedMs } = echo;
    const message = handler.sent(echo.number);
    if (message === undefined) {
      for (const { queue, partition, offset } of entries)
        lost.push({ queue, partition, end: offset + 1 });
      return;
    }
    message.entries = entries;
    message.orderKey = orderKey;
    message.storedMs = storedMs;
    batch.push(message);
  });
  if (batch.length > 0) handler.push(batch);
  if (lost.length > 0) handler.behind(lost);
}

function readRefused(reader: WireReader): Refusal {
  const [session, reasonCode] = readNumbers(reader, 2);
  return { session: sessionHandle(session!), reasonCode: reasonCode! };
}

function readRights(handler: DownstreamHandler, reader: WireReader): void {
  let session = 0;
  let rights: string | undefined;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) session = reader.varint();
    else if (tag === 0x12) rights = reader.text();
    else reader.skip(tag);
  }
  handler.rights(sessionHandle(session), rights);
}

function readPublished(handler: DownstreamHandler, reader: WireReader): void {
  let first = 0;
  let reasonCodes = noCodes;
  const refusals: Refusal[] = [];
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) first = reader.varint();
    else if (tag === 0x12) reasonCodes = reader.bytes();
    else if (tag === 0x1a) {
      const outer = reader.enter(reader.end());
      refusals.push(readRefused(reader));
      reader.leave(outer);
    } else reader.skip(tag);
  }
  if (reasonCodes.length > 0) handler.published(first, reasonCodes);
  for (const { session, reasonCode } of refusals) handler.refused(session, reasonCode);
}

function readAssignment(reader: WireReader): Assignment {
  const outer = reader.enter(reader.end());
  let session = 0;
  let group = 0;
  let filter = '';
  let queue = 0;
  let partition = 0;
  let offset = -1;
  let epoch = 0;
  let fence = 0;
  let message: Message | undefined;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) session = reader.varint();
    else if (tag === 0x10) group = reader.varint();
    else if (tag === 0x1a) {
      const end = reader.end();
      filter = texts.of(reader.buffer, reader.at, end).text;
      reader.at = end;
    } else if (tag === 0x20) queue = reader.varint();
    else if (tag === 0x28) partition = reader.varint();
    else if (tag === 0x30) offset = reader.varint() - 1;
    else if (tag === 0x3a) message = readMessage(reader);
    else if (tag === 0x40) epoch = reader.varint();
    else if (tag === 0x48) fence = reader.varint();
    else reader.skip(tag);
  }
  reader.leave(outer);
  if (message === undefined) throw new WireError('an assignment without a message');
  return {
    session: sessionHandle(session),
    group: groupId(group),
    filter,
    queue: queueId(queue),
    partition,
    offset,
    message,
    ...(epoch === 0 ? {} : { epoch }),
    ...(fence === 0 ? {} : { fence }),
  };
}

function readAnswer(handler: DownstreamHandler, reader: WireReader): void {
  let id = 0;
  let body: Buffer | undefined;
  let error = '';
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) id = reader.uint32();
    else if (tag === 0x12) body = reader.bytes();
    else if (tag === 0x1a) error = reader.text();
    else reader.skip(tag);
  }
  if (error === '') handler.answer(id, body ?? Buffer.alloc(0));
  else handler.failed(id, error);
}

function readReadAnswer(handler: DownstreamHandler, reader: WireReader): void {
  let id = 0;
  let next = 0;
  let end = 0;
  const messages: Message[] = [];
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) id = reader.uint32();
    else if (tag === 0x12) messages.push(readMessage(reader));
    else if (tag === 0x18) next = reader.varint();
    else if (tag === 0x20) end = reader.varint();
    else reader.skip(tag);
  }
  handler.readAnswer(id, { messages, next, end });
}
