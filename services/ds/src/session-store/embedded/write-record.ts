import { groupId, queueId } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { Place } from '@lmqtt/proto/session-state';
import type { Journal } from '../../journal/journal.ts';
import { RecordType } from '../../journal/records.ts';
import { moveRetainedCursor, release, samePlace } from '../apply-write.ts';
import type { StoredSession } from '../stored-session.ts';

/**
 * The record of one session write, put into the journal's buffer in place:
 *
 *     u8  operation    u32 session number    then, by operation:
 *     sent             u16 packet identifier, u8 QoS, u48 sequence, place, u16 length, filter
 *     released         u16 packet identifier
 *     done             u16 packet identifier, place
 *     position         u48 queue, u16 partition, u48 position
 *     inbound-done     u16 packet identifier
 *     retained-cursor  u8 1: after a topic, u16 length, filter, u16 length, topic
 *
 *     place            u8 0: u48 queue, u16 partition, u48 offset
 *                      u8 1: the same, u48 group
 *                      u8 2: u48 placement, u48 offset, u16 length, topic
 *
 * `done` names the place although the packet identifier would tell it: replayed over a newer
 * state, the identifier may already stand for another.
 */
const Operation = {
  sent: 0,
  released: 1,
  done: 2,
  position: 3,
  'inbound-done': 4,
  'retained-cursor': 5,
} as const;

const queuePlaceBytes = 15;
const groupPlaceBytes = 21;

/** The same change in memory and as a record. */
export function recordWrite(journal: Journal, session: StoredSession, write: SessionWrite): void {
  switch (write.kind) {
    case 'sent': {
      const filterBytes = Buffer.byteLength(write.filter);
      const bytes = 16 + placeBytes(write.place) + filterBytes;
      let at = begin(journal, bytes, Operation.sent, session.number);
      const { buffer } = journal;
      at = buffer.writeUInt16LE(write.packetId, at);
      at = buffer.writeUInt8(write.qos, at);
      at = buffer.writeUIntLE(write.sequence, at, 6);
      at = writePlace(buffer, at, write.place);
      writeText(buffer, at, write.filter, filterBytes);
      return;
    }
    case 'released':
    case 'inbound-done': {
      const at = begin(journal, 7, Operation[write.kind], session.number);
      journal.buffer.writeUInt16LE(write.packetId, at);
      return;
    }
    case 'done': {
      const place = session.outboundOf(write.packetId)?.place;
      if (place === undefined) return;
      const at = begin(journal, 7 + placeBytes(place), Operation.done, session.number);
      journal.buffer.writeUInt16LE(write.packetId, at);
      writePlace(journal.buffer, at + 2, place);
      return;
    }
    case 'position': {
      let at = begin(journal, 19, Operation.position, session.number);
      const { buffer } = journal;
      at = buffer.writeUIntLE(write.queue, at, 6);
      at = buffer.writeUInt16LE(write.partition, at);
      buffer.writeUIntLE(write.position, at, 6);
      return;
    }
    case 'retained-cursor': {
      const after = write.after ?? '';
      const filterBytes = Buffer.byteLength(write.filter);
      const afterBytes = Buffer.byteLength(after);
      const bytes = 10 + filterBytes + afterBytes;
      let at = begin(journal, bytes, Operation['retained-cursor'], session.number);
      const { buffer } = journal;
      at = buffer.writeUInt8(write.after === undefined ? 0 : 1, at);
      at = writeText(buffer, at, write.filter, filterBytes);
      writeText(buffer, at, after, afterBytes);
      return;
    }
    case 'assigned-done':
    case 'fenced':
      return; // the group's, not the session's
  }
}

export function replayWrite(
  body: Buffer,
  sessionOf: (number: number) => StoredSession | undefined,
): void {
  const session = sessionOf(body.readUInt32LE(1));
  if (session === undefined) return;
  switch (body[0]) {
    case Operation.sent: {
      const qos = body[7] === 2 ? 2 : 1;
      const sequence = body.readUIntLE(8, 6);
      const [place, at] = readPlace(body, 14);
      const filter = readText(body, at);
      const packetId = body.readUInt16LE(5);
      session.putOutbound({ packetId, qos, state: 'sent', sequence, place, filter });
      return;
    }
    case Operation.released:
      release(session, body.readUInt16LE(5));
      return;
    case Operation.done: {
      const packetId = body.readUInt16LE(5);
      const [place] = readPlace(body, 7);
      const known = session.outboundOf(packetId);
      if (known !== undefined && samePlace(known.place, place)) session.removeOutbound(packetId);
      session.markDone(place);
      return;
    }
    case Operation.position:
      session.moveTo(queueId(body.readUIntLE(5, 6)), body.readUInt16LE(11), body.readUIntLE(13, 6));
      return;
    case Operation['inbound-done']:
      session.removeInbound(body.readUInt16LE(5));
      return;
    case Operation['retained-cursor']: {
      const filter = readText(body, 6);
      const after = readText(body, 8 + body.readUInt16LE(6));
      moveRetainedCursor(session, filter, body[5] === 1 ? after : undefined);
      return;
    }
    default:
      return;
  }
}

function begin(journal: Journal, bytes: number, operation: number, session: number): number {
  const at = journal.reserve(RecordType.sessionWrite, bytes);
  journal.buffer[at] = operation;
  return journal.buffer.writeUInt32LE(session, at + 1);
}

function placeBytes(place: Place): number {
  if (place.kind === 'queue') return queuePlaceBytes;
  if (place.kind === 'group') return groupPlaceBytes;
  return 15 + Buffer.byteLength(place.topic);
}

function writePlace(buffer: Buffer, start: number, place: Place): number {
  if (place.kind === 'retained') {
    let at = buffer.writeUInt8(2, start);
    at = buffer.writeUIntLE(place.orderKey.placement, at, 6);
    at = buffer.writeUIntLE(place.orderKey.offset, at, 6);
    return writeText(buffer, at, place.topic, Buffer.byteLength(place.topic));
  }
  let at = buffer.writeUInt8(place.kind === 'queue' ? 0 : 1, start);
  at = buffer.writeUIntLE(place.queue, at, 6);
  at = buffer.writeUInt16LE(place.partition, at);
  at = buffer.writeUIntLE(place.offset, at, 6);
  return place.kind === 'group' ? buffer.writeUIntLE(place.group, at, 6) : at;
}

function readPlace(body: Buffer, start: number): [Place, number] {
  if (body[start] === 2) {
    const orderKey = {
      placement: body.readUIntLE(start + 1, 6),
      offset: body.readUIntLE(start + 7, 6),
    };
    const topic = readText(body, start + 13);
    return [{ kind: 'retained', topic, orderKey }, start + 15 + body.readUInt16LE(start + 13)];
  }
  const queue = queueId(body.readUIntLE(start + 1, 6));
  const partition = body.readUInt16LE(start + 7);
  const offset = body.readUIntLE(start + 9, 6);
  if (body[start] === 0) {
    return [{ kind: 'queue', queue, partition, offset }, start + queuePlaceBytes];
  }
  const group = groupId(body.readUIntLE(start + 15, 6));
  return [{ kind: 'group', group, queue, partition, offset }, start + groupPlaceBytes];
}

function writeText(buffer: Buffer, start: number, text: string, bytes: number): number {
  const at = buffer.writeUInt16LE(bytes, start);
  buffer.write(text, at);
  return at + bytes;
}

function readText(body: Buffer, start: number): string {
  return body.toString('utf8', start + 2, start + 2 + body.readUInt16LE(start));
}
