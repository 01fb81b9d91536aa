import type { SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '../assignment.ts';
import type { QueueEnd, ReadAnswer, Refusal } from '../link.ts';
import type { Channel, Exchange } from './exchange.ts';
import { ItemField } from './item.ts';
import { SentMessage, writeEcho, writeMessage } from './message-codec.ts';
import type { NumberedPublish } from './upstream.ts';
import type { WireWriter } from './wire-writer.ts';

// Items of a ds as it writes them: see link.proto.

const fixedBytesMax = 80;

/** Answered publishes, an item for each run of numbers. */
export function writePublished(
  exchange: Exchange,
  channel: Channel,
  batch: readonly NumberedPublish[],
): void {
  let index = 0;
  while (index < batch.length) {
    const first = batch[index]!;
    let end = index + 1;
    while (end < batch.length && batch[end]!.number === first.number + end - index) end += 1;
    const writer = exchange.open(ItemField.published, channel);
    writer.reserve(fixedBytesMax + end - index);
    writer.number(0x08, first.number);
    writer.buffer[writer.at++] = 0x12;
    writer.varint(end - index);
    for (; index < end; index++) writer.buffer[writer.at++] = batch[index]!.reasonCode;
    exchange.close();
  }
}

/**
 * Messages that came from `origin`, the other end, are kept there if their numbers are past
 * `answered`: only their places are sent. Answers whether there were any.
 */
export function writePushes(
  exchange: Exchange,
  batch: readonly Message[],
  origin?: object,
  answered = 0,
): boolean {
  let echoes = false;
  let field = 0;
  let writer: WireWriter | undefined;
  for (let index = 0; index < batch.length; index++) {
    const message = batch[index]!;
    const kept =
      message instanceof SentMessage && message.origin === origin && message.number > answered;
    const wanted = kept ? ItemField.echoes : ItemField.pushes;
    const bytes = kept ? 0 : message.payloadBytes;
    if (writer === undefined || field !== wanted || exchange.fullFor(bytes)) {
      if (writer !== undefined) exchange.close();
      exchange.beginLarge(bytes);
      writer = exchange.open(wanted, 'bulk');
      field = wanted;
    } else exchange.countEntry();
    if (kept) {
      echoes = true;
      writeEcho(writer, 0x0a, message);
    } else writeMessage(writer, 0x0a, message, true);
  }
  if (writer !== undefined) exchange.close();
  return echoes;
}

export function writeAssignments(exchange: Exchange, batch: readonly Assignment[]): void {
  let writer: WireWriter | undefined;
  for (const assignment of batch) {
    const { payloadBytes } = assignment.message;
    if (writer === undefined || exchange.fullFor(payloadBytes)) {
      if (writer !== undefined) exchange.close();
      exchange.beginLarge(payloadBytes);
      writer = exchange.open(ItemField.assignments, 'bulk');
    } else exchange.countEntry();
    writer.reserve(fixedBytesMax);
    const opened = writer.open(0x0a);
    writer.number(0x08, assignment.session);
    writer.number(0x10, assignment.group);
    writer.text(0x1a, assignment.filter);
    writer.reserve(fixedBytesMax);
    writer.number(0x20, assignment.queue);
    writer.number(0x28, assignment.partition);
    writer.number(0x30, assignment.offset + 1);
    writer.number(0x40, assignment.epoch ?? 0);
    writer.number(0x48, assignment.fence ?? 0);
    writeMessage(writer, 0x3a, assignment.message, true);
    writer.close(opened);
  }
  writer ??= exchange.open(ItemField.assignments, 'bulk');
  exchange.close();
}

export function writeFence(exchange: Exchange, fence: GroupFence): void {
  // In the channel of assignments, which it does not overtake.
  const writer = exchange.open(ItemField.fence, 'bulk');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, fence.session);
  writer.number(0x10, fence.group);
  writer.number(0x18, fence.epoch);
  writer.number(0x20, fence.number);
  exchange.close();
}

/** A publish at QoS 0. */
export function writeRefusal(exchange: Exchange, session: SessionHandle, reasonCode: number): void {
  const writer = exchange.open(ItemField.published, 'control');
  writeRefused(writer, 0x1a, { session, reasonCode });
  exchange.close();
}

export function writeKick(exchange: Exchange, session: SessionHandle, reasonCode: number): void {
  const writer = exchange.open(ItemField.kick, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, session);
  writer.number(0x10, reasonCode);
  exchange.close();
}

export function writeRights(
  exchange: Exchange,
  session: SessionHandle,
  rights: string | undefined,
): void {
  const writer = exchange.open(ItemField.rights, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, session);
  if (rights !== undefined) writer.writtenText(0x12, rights);
  exchange.close();
}

export function writeQueueEnds(exchange: Exchange, ends: readonly QueueEnd[]): void {
  const writer = exchange.open(ItemField.queueEnds, 'bulk');
  for (const { queue, partition, end } of ends) {
    writer.reserve(fixedBytesMax);
    const opened = writer.open(0x0a);
    writer.number(0x08, queue);
    writer.number(0x10, partition);
    writer.number(0x18, end);
    writer.close(opened);
  }
  exchange.close();
}

export function writeDurable(
  exchange: Exchange,
  numbers: readonly number[],
  fenced: readonly number[],
): void {
  const writer = exchange.open(ItemField.durable, 'control');
  writeNumbers(writer, 0x0a, numbers);
  writeNumbers(writer, 0x12, fenced);
  exchange.close();
}

export function writeAnswer(exchange: Exchange, channel: Channel, id: number, body: Buffer): void {
  exchange.beginLarge(body.length);
  const writer = exchange.open(ItemField.answer, channel);
  writer.reserve(fixedBytesMax);
  writer.number(0x08, id);
  writer.bytes(0x12, body);
  exchange.close();
}

export function writeFailure(exchange: Exchange, id: number, error: string): void {
  const writer = exchange.open(ItemField.answer, 'control');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, id);
  writer.text(0x1a, error === '' ? 'failed' : error);
  exchange.close();
}

export function writeReadAnswer(exchange: Exchange, id: number, answer: ReadAnswer): void {
  let bytes = 0;
  for (const { payloadBytes } of answer.messages) bytes += payloadBytes;
  exchange.beginLarge(bytes);
  const writer = exchange.open(ItemField.readAnswer, 'bulk');
  writer.reserve(fixedBytesMax);
  writer.number(0x08, id);
  for (const message of answer.messages) writeMessage(writer, 0x12, message, true);
  writer.reserve(fixedBytesMax);
  writer.number(0x18, answer.next);
  writer.number(0x20, answer.end);
  exchange.close();
}

export function writePresented(exchange: Exchange, refusals: readonly Refusal[]): void {
  const writer = exchange.open(ItemField.presented, 'control');
  for (const refusal of refusals) writeRefused(writer, 0x0a, refusal);
  exchange.close();
}

function writeRefused(writer: WireWriter, tag: number, refusal: Refusal): void {
  writer.reserve(fixedBytesMax);
  const opened = writer.open(tag);
  writer.number(0x08, refusal.session);
  writer.number(0x10, refusal.reasonCode);
  writer.close(opened);
}

function writeNumbers(writer: WireWriter, tag: number, numbers: readonly number[]): void {
  if (numbers.length === 0) return;
  writer.reserve(fixedBytesMax + numbers.length * 9);
  const opened = writer.open(tag);
  for (const number of numbers) writer.varint(number);
  writer.close(opened);
}
