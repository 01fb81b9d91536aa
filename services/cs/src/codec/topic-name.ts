import { ReasonCode } from '@lmqtt/common/reason-code';
import { refused } from './malformed-packet.ts';
import { decodeString } from './utf8.ts';

// Topic names come again and again. The strings and the proof that they are legal are kept for as
// many topics as there are slots, found by a hash of the bytes; another topic with the same slot
// takes it. A loop over the bytes is quicker than any native call for names of usual length.

export interface TopicName {
  readonly name: string;
  /** A copy: it holds no chunk in memory. */
  readonly bytes: Uint8Array;
}

export const noTopicName: TopicName = { name: '', bytes: new Uint8Array(0) };

/** A power of two. */
const slotCount = 8192;
/** Longer names are decoded each time. */
const bytesMax = 192;
const slots: TopicName[] = Array.from({ length: slotCount }, () => noTopicName);

const plus = 0x2b;
const hash = 0x23;

/** True where the bytes from `start` to `end` are those of the name. */
export function isTopicName(known: TopicName, buffer: Buffer, start: number, end: number): boolean {
  const { bytes } = known;
  const { length } = bytes;
  if (length !== end - start) return false;
  // Topics that differ do so at their end more often than at their beginning.
  for (let index = length - 1; index >= 0; index -= 1) {
    if (bytes[index] !== buffer[start + index]) return false;
  }
  return true;
}

function decode(buffer: Buffer, start: number, end: number): TopicName {
  const name = decodeString(buffer, start, end, 'topic name');
  for (let at = start; at < end; at += 1) {
    const byte = buffer[at];
    // [MQTT-3.3.2-2]
    if (byte === plus || byte === hash) {
      refused(ReasonCode.topicNameInvalid, 'topic name: has a wildcard');
    }
  }
  return { name, bytes: new Uint8Array(buffer.subarray(start, end)) };
}

/** The topic name in these bytes, which are not empty; throws where it is not legal. */
export function topicNameOf(buffer: Buffer, start: number, end: number): TopicName {
  if (end - start > bytesMax) return decode(buffer, start, end);
  let sum = end - start;
  for (let at = start; at < end; at += 1) sum = Math.imul(sum ^ buffer[at]!, 0x01000193);
  const slot = (sum ^ (sum >>> 15)) & (slotCount - 1);
  const known = slots[slot]!;
  if (isTopicName(known, buffer, start, end)) return known;
  const topicName = decode(buffer, start, end);
  slots[slot] = topicName;
  return topicName;
}
