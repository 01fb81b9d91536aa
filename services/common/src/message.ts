import type { QueueId } from './ids.ts';
import type { Qos } from './qos.ts';

/** A message's place in one queue, known when the message arrives from the store. */
export interface QueueEntry {
  readonly queue: QueueId;
  readonly partition: number;
  /** −1: the message is not stored (QoS 0 on the embedded log). */
  readonly offset: number;
  /** The offset before it in this queue and partition; −1 when it is the first or not stored. */
  readonly previous: number;
}

/** Total for one topic, whichever node appends: placement number, then offset there. */
export interface OrderKey {
  readonly placement: number;
  readonly offset: number;
}

/** Whether the first of two versions of one topic is the later one. */
export function isNewer(one: OrderKey, other: OrderKey): boolean {
  return one.placement === other.placement
    ? one.offset > other.offset
    : one.placement > other.placement;
}

export const noEntries: readonly QueueEntry[] = [];

/** A PUBLISH packet of a message, made once for all clients that get it alike. */
export interface EncodedPublish {
  readonly bytes: Uint8Array;
  /** Position of the packet identifier, at QoS 1 and 2. */
  readonly packetIdAt: number;
  /** Position of the message expiry interval; −1: there is none. */
  readonly expiryAt: number;
}

/** A message, its buffers' heads, its places in a queue. */
const messageOverheadBytes = 256;

/**
 * An application message. Its bytes stay where they were read, and are copied only into the log
 * and into the write buffers of connections:
 *
 *     buffer[topicStart]    u16 length, topic name in UTF-8    (topicStart −1: not in the buffer)
 *     …                     packet identifier, 2 bytes of no meaning, or nothing
 *     buffer[payloadStart … payloadEnd)    payload
 *
 * Where payloadStart is the end of the topic + 2, these bytes are the body of a 3.1.1 PUBLISH at
 * QoS 1 or 2; where it is the end of the topic, of one at QoS 0.
 */
export class Message {
  readonly topic: string;
  /** As published; what is delivered is the lower of this and the subscription's. */
  readonly qos: Qos;
  /** The RETAIN flag as published. */
  readonly retain: boolean;
  buffer: Buffer;
  topicStart: number;
  payloadStart: number;
  payloadEnd: number;
  /**
   * The properties that are forwarded unaltered, as encoded in a 5.0 PUBLISH without the length
   * in front: payload format indicator, response topic, correlation data, content type, user
   * properties in their order.
   */
  properties: Buffer | undefined;
  /** Wall clock in ms at which the message expires; 0: never. */
  readonly expiresAtMs: number;
  /** Client identifier of the publisher (No Local); empty for the broker's own. */
  readonly publisher: string;
  /**
   * Message Expiry Interval as published, in seconds, at least 1: nobody is told of more, whatever
   * becomes of the clock. 0: not known, or there is none.
   */
  expiryS = 0;
  /**
   * When the store took it, by the clock of its partition, ms since 1970; 0: not known. Partitions
   * of one queue are put in order by it.
   */
  storedMs = 0;
  /** Places of the message, set when it arrives. */
  entries: readonly QueueEntry[] = noEntries;
  /** Set once by the RETAIN store or the append's answer. */
  orderKey: OrderKey | undefined = undefined;
  /** The last push that a session saw it in: for the one copy of a QoS 0 message. */
  mark = 0;
  /** Kept by the codec of the connection node, by its own numbering. */
  encoded: (EncodedPublish | undefined)[] | undefined = undefined;

  constructor(
    topic: string,
    qos: Qos,
    retain: boolean,
    buffer: Buffer,
    topicStart: number,
    payloadStart: number,
    payloadEnd: number,
    properties: Buffer | undefined,
    expiresAtMs: number,
    publisher: string,
  ) {
    this.topic = topic;
    this.qos = qos;
    this.retain = retain;
    this.buffer = buffer;
    this.topicStart = topicStart;
    this.payloadStart = payloadStart;
    this.payloadEnd = payloadEnd;
    this.properties = properties;
    this.expiresAtMs = expiresAtMs;
    this.publisher = publisher;
  }

  /**
   * Bytes of memory that the message holds, for every limit in bytes: topic, properties, payload
   * and the fixed overhead of the object.
   */
  get heldBytes(): number {
    const { properties } = this;
    return (
      messageOverheadBytes +
      this.topic.length +
      this.payloadEnd -
      this.payloadStart +
      (properties === undefined ? 0 : properties.length)
    );
  }

  get payloadBytes(): number {
    return this.payloadEnd - this.payloadStart;
  }

  /** A view, for the paths that are not hot. */
  get payload(): Buffer {
    return this.buffer.subarray(this.payloadStart, this.payloadEnd);
  }
}

/**
 * Bytes that are kept for long, without the memory of which they are a part: a few bytes of a chunk
 * would hold all of it.
 */
export function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}

/** Parts of a message whose bytes are at hand apart: wills, `$SYS`, retained. */
export interface MessageParts {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly payload: Buffer;
  readonly properties?: Buffer | undefined;
  readonly expiresAtMs?: number;
  readonly expiryS?: number;
  readonly publisher?: string;
}

export function messageOf(parts: MessageParts): Message {
  const { payload } = parts;
  const message = new Message(
    parts.topic,
    parts.qos,
    parts.retain,
    payload,
    -1,
    0,
    payload.length,
    parts.properties,
    parts.expiresAtMs ?? 0,
    parts.publisher ?? '',
  );
  message.expiryS = parts.expiryS ?? 0;
  return message;
}
