import type { KnownText } from '@lmqtt/common/text-cache';
import { isText, noText } from '@lmqtt/common/text-cache';
import { IncomingPublish } from '../packet/publish.ts';
import { PacketType } from '../packet/packet-type.ts';
import { ByteCursor } from './cursor.ts';
import { malformed, protocolError } from './malformed-packet.ts';
import { readMessageProperties } from './message-property-reader.ts';
import { propertiesOf } from './property-reader.ts';
import { topicNames } from './topic-names.ts';

// PUBLISH, section 3.3:
//
//     0011 DUP QoS QoS RETAIN | remaining length
//     u16 length, topic name | packet identifier (QoS 1, 2) | properties (5.0) | payload
//
// The hot path: fields are read in place, without a cursor where there are no properties.

/** One for the process: it is valid only during the call that hands it over. */
const incoming = new IncomingPublish();

/** Reads the PUBLISH packets of one connection. */
export class PublishReader {
  /** Most clients publish to one topic many times in a row. */
  #last: KnownText = noText;

  read(
    buffer: Buffer,
    first: number,
    start: number,
    end: number,
    version: number,
  ): IncomingPublish {
    const packet = incoming;
    const qos = (first >> 1) & 3;
    // [MQTT-3.3.1-4]
    if (qos === 3) malformed('PUBLISH: QoS 3');
    packet.qos = qos as 0 | 1 | 2;
    packet.dup = (first & 0x08) !== 0;
    // [MQTT-3.3.1-2]
    if (packet.dup && qos === 0) protocolError('PUBLISH: DUP with QoS 0');
    packet.retain = (first & 0x01) !== 0;
    if (end - start < 2) malformed('topic name: packet too short');
    const topicStart = start + 2;
    let at = topicStart + ((buffer[start]! << 8) | buffer[start + 1]!);
    if (at > end) malformed('topic name: packet too short');
    packet.buffer = buffer;
    packet.payloadEnd = end;
    packet.properties = undefined;
    packet.messageExpiryS = undefined;
    packet.topicAlias = 0;
    packet.payloadFormatIndicator = 0;
    packet.hasResponseTopic = false;
    packet.packetId = 0;
    if (at === topicStart) {
      packet.topicStart = -1;
      packet.topic = '';
    } else {
      packet.topicStart = start;
      packet.topic = this.#topic(buffer, topicStart, at);
    }
    if (qos > 0) {
      if (end - at < 2) malformed('packet identifier: packet too short');
      packet.packetId = (buffer[at]! << 8) | buffer[at + 1]!;
      // [MQTT-2.2.1-3]
      if (packet.packetId === 0) protocolError('packet identifier: 0');
      at += 2;
    }
    if (version === 5) {
      if (at < end && buffer[at] === 0) at += 1;
      else at = this.#properties(buffer, at, end);
    }
    packet.payloadStart = at;
    // [MQTT-4.7.3-1], and 3.3.2.3.4 where an alias could stand for it.
    if (packet.topicStart < 0 && packet.topicAlias === 0) protocolError('topic name: empty');
    return packet;
  }

  #topic(buffer: Buffer, start: number, end: number): string {
    if (!isText(this.#last, buffer, start, end)) this.#last = topicNames.of(buffer, start, end);
    return this.#last.text;
  }

  #properties(buffer: Buffer, at: number, end: number): number {
    const cursor = new ByteCursor(buffer, at, end);
    readMessageProperties(propertiesOf(cursor), PacketType.publish, incoming);
    return cursor.at;
  }
}
