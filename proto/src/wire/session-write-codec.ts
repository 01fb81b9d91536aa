import { groupId, queueId, sessionHandle, type SessionHandle } from '@lmqtt/common/ids';
import type { OrderKey } from '@lmqtt/common/message';
import type { SessionWrite } from '../link.ts';
import type { Place } from '../session-state.ts';
import { readOrderKey, writeOrderKey } from './message-codec.ts';
import { texts } from './texts.ts';
import { WireError } from './wire-error.ts';
import type { WireReader } from './wire-reader.ts';
import type { WireWriter } from './wire-writer.ts';

/** `Write.Kind` of link.proto. */
const Kind = {
  sent: 0,
  released: 1,
  done: 2,
  position: 3,
  assignedDone: 4,
  inboundDone: 5,
  retainedCursor: 6,
  fenced: 7,
} as const;

const fixedBytesMax = 160;

const kindTag = 0x08;
const sessionTag = 0x10;
const packetIdTag = 0x18;
const qosTag = 0x20;
const sequenceTag = 0x28;
const placeTag = 0x32;
const filterTag = 0x3a;
const failedTag = 0x40;
const queueTag = 0x48;
const groupTag = 0x50;
const partitionTag = 0x58;
const offsetTag = 0x60;
const afterTag = 0x6a;

/** Writes `Write` as a field. */
export function writeSessionWrite(writer: WireWriter, tag: number, write: SessionWrite): void {
  writer.reserve(fixedBytesMax);
  const opened = writer.open(tag);
  switch (write.kind) {
    case 'sent':
      writer.number(sessionTag, write.session);
      writer.number(packetIdTag, write.packetId);
      writer.number(qosTag, write.qos);
      writer.number(sequenceTag, write.sequence);
      writePlace(writer, placeTag, write.place);
      writer.text(filterTag, write.filter);
      break;
    case 'released':
      writer.number(kindTag, Kind.released);
      writer.number(sessionTag, write.session);
      writer.number(packetIdTag, write.packetId);
      break;
    case 'done':
      writer.number(kindTag, Kind.done);
      writer.number(sessionTag, write.session);
      writer.number(packetIdTag, write.packetId);
      writer.flag(failedTag, write.failed);
      break;
    case 'position':
      writer.number(kindTag, Kind.position);
      writer.number(sessionTag, write.session);
      writer.number(queueTag, write.queue);
      writer.number(partitionTag, write.partition);
      writer.number(offsetTag, write.position);
      break;
    case 'assigned-done':
      writer.number(kindTag, Kind.assignedDone);
      writer.number(sessionTag, write.session);
      writer.number(groupTag, write.group);
      writer.number(partitionTag, write.partition);
      writer.number(offsetTag, write.offset);
      break;
    case 'fenced':
      writer.number(kindTag, Kind.fenced);
      writer.number(sessionTag, write.session);
      writer.number(sequenceTag, write.number);
      writer.number(groupTag, write.group);
      writer.number(offsetTag, write.letGo);
      break;
    case 'inbound-done':
      writer.number(kindTag, Kind.inboundDone);
      writer.number(sessionTag, write.session);
      writer.number(packetIdTag, write.packetId);
      break;
    case 'retained-cursor':
      writer.number(kindTag, Kind.retainedCursor);
      writer.number(sessionTag, write.session);
      writer.text(filterTag, write.filter);
      if (write.after !== undefined) writer.writtenText(afterTag, write.after);
      break;
  }
  writer.close(opened);
}

function writePlace(writer: WireWriter, tag: number, place: Place): void {
  const opened = writer.open(tag);
  if (place.kind === 'retained') {
    writer.text(0x2a, place.topic);
    writer.reserve(fixedBytesMax);
    writeOrderKey(writer, 0x32, place.orderKey);
  } else {
    writer.number(0x08, place.queue);
    if (place.kind === 'group') writer.number(0x10, place.group);
    writer.number(0x18, place.partition);
    writer.number(0x20, place.offset);
  }
  writer.close(opened);
}

export function readSessionWrite(reader: WireReader): SessionWrite {
  const outer = reader.enter(reader.end());
  let kind = 0;
  let session: SessionHandle = sessionHandle(0);
  let packetId = 0;
  let qos = 0;
  let sequence = 0;
  let place: Place | undefined;
  let filter = '';
  let failed = false;
  let queue = 0;
  let group = 0;
  let partition = 0;
  let offset = 0;
  let after: string | undefined;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    switch (tag) {
      case kindTag:
        kind = reader.varint();
        break;
      case sessionTag:
        session = sessionHandle(reader.varint());
        break;
      case packetIdTag:
        packetId = reader.varint();
        break;
      case qosTag:
        qos = reader.varint();
        break;
      case sequenceTag:
        sequence = reader.varint();
        break;
      case placeTag:
        place = readPlace(reader);
        break;
      case filterTag: {
        const end = reader.end();
        filter = texts.of(reader.buffer, reader.at, end).text;
        reader.at = end;
        break;
      }
      case failedTag:
        failed = reader.varint() !== 0;
        break;
      case queueTag:
        queue = reader.varint();
        break;
      case groupTag:
        group = reader.varint();
        break;
      case partitionTag:
        partition = reader.varint();
        break;
      case offsetTag:
        offset = reader.varint();
        break;
      case afterTag:
        after = reader.text();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outer);
  switch (kind) {
    case Kind.sent:
      if (place === undefined || (qos !== 1 && qos !== 2)) throw new WireError('no place');
      return { kind: 'sent', session, packetId, qos, sequence, place, filter };
    case Kind.released:
      return { kind: 'released', session, packetId };
    case Kind.done:
      return { kind: 'done', session, packetId, failed };
    case Kind.position:
      return { kind: 'position', session, queue: queueId(queue), partition, position: offset };
    case Kind.assignedDone:
      return { kind: 'assigned-done', session, group: groupId(group), partition, offset };
    case Kind.fenced:
      return { kind: 'fenced', session, group: groupId(group), number: sequence, letGo: offset };
    case Kind.inboundDone:
      return { kind: 'inbound-done', session, packetId };
    case Kind.retainedCursor:
      return { kind: 'retained-cursor', session, filter, after };
    default:
      throw new WireError('a write of no known kind');
  }
}

function readPlace(reader: WireReader): Place {
  const outer = reader.enter(reader.end());
  let queue = 0;
  let group = 0;
  let partition = 0;
  let offset = 0;
  let topic = '';
  let orderKey: OrderKey | undefined;
  while (reader.at < reader.limit) {
    const tag = reader.varint();
    if (tag === 0x08) queue = reader.varint();
    else if (tag === 0x10) group = reader.varint();
    else if (tag === 0x18) partition = reader.varint();
    else if (tag === 0x20) offset = reader.varint();
    else if (tag === 0x2a) topic = reader.text();
    else if (tag === 0x32) orderKey = readOrderKey(reader);
    else reader.skip(tag);
  }
  reader.leave(outer);
  if (orderKey !== undefined) return { kind: 'retained', topic, orderKey };
  if (group === 0) return { kind: 'queue', queue: queueId(queue), partition, offset };
  return { kind: 'group', group: groupId(group), queue: queueId(queue), partition, offset };
}
