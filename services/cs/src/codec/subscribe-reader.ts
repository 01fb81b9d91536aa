import type { Qos } from '@lmqtt/common/qos';
import { PacketType } from '../packet/packet-type.ts';
import type { FilterRequest, Subscribe } from '../packet/subscribe.ts';
import type { Unsubscribe } from '../packet/unsubscribe.ts';
import type { ByteCursor } from './cursor.ts';
import { malformed, protocolError } from './malformed-packet.ts';
import type { Properties } from './property-reader.ts';
import { readProperties } from './property-reader.ts';

// SUBSCRIBE, section 3.8, and UNSUBSCRIBE, section 3.10:
//
//     packet identifier | properties (5.0) | one or more of: filter, options byte
//     packet identifier | properties (5.0) | one or more of: filter
//
// The options: 00, retain handling (2 bits), retain as published, no local, QoS (2 bits);
// before 5.0 only the QoS.

const none: Properties = {};

function readName(cursor: ByteCursor): string {
  const filter = cursor.string('topic filter');
  // [MQTT-4.7.3-1]
  if (filter === '') protocolError('topic filter: empty');
  return filter;
}

function readFilter(cursor: ByteCursor, version: number): FilterRequest {
  const filter = readName(cursor);
  const options = cursor.byte('subscription options');
  // [MQTT-3.8.3-5]; 3.1.1: [MQTT-3-8.3-4].
  if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) {
    malformed('subscription options: reserved bits');
  }
  const qos = options & 3;
  if (qos === 3) protocolError('subscription options: QoS 3');
  const retainHandling = (options >> 4) & 3;
  if (retainHandling === 3) protocolError('subscription options: retain handling 3');
  const noLocal = (options & 0x04) !== 0;
  // [MQTT-3.8.3-4]
  if (noLocal && filter.startsWith('$share/')) protocolError('no local on a shared subscription');
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

/** How many filters there are, without a look at them. */
function countFilters(cursor: ByteCursor, optionBytes: 0 | 1): number {
  const { buffer, end } = cursor;
  let count = 0;
  let { at } = cursor;
  while (at < end) {
    if (end - at < 2) malformed('topic filter: packet too short');
    at += 2 + ((buffer[at]! << 8) | buffer[at + 1]!) + optionBytes;
    count += 1;
  }
  if (at > end) malformed('topic filter: packet too short');
  return count;
}

export function readSubscribe(cursor: ByteCursor, version: number, filtersMax: number): Subscribe {
  const packetId = cursor.packetIdentifier();
  const properties = version === 5 ? readProperties(cursor, PacketType.subscribe) : none;
  // [MQTT-3.8.3-2]
  if (cursor.left === 0) protocolError('SUBSCRIBE: no topic filter');
  const { subscriptionIdentifier, replayFrom } = properties;
  const filterCount = countFilters(cursor, 1);
  const filters: FilterRequest[] = [];
  if (filterCount > filtersMax) return { packetId, filters, filterCount, subscriptionIdentifier };
  while (cursor.left > 0) filters.push(readFilter(cursor, version));
  return { packetId, filters, filterCount, subscriptionIdentifier, replayFrom };
}

export function readUnsubscribe(
  cursor: ByteCursor,
  version: number,
  filtersMax: number,
): Unsubscribe {
  const packetId = cursor.packetIdentifier();
  if (version === 5) readProperties(cursor, PacketType.unsubscribe);
  // [MQTT-3.10.3-2]
  if (cursor.left === 0) protocolError('UNSUBSCRIBE: no topic filter');
  const filterCount = countFilters(cursor, 0);
  const filters: string[] = [];
  if (filterCount > filtersMax) return { packetId, filters, filterCount };
  while (cursor.left > 0) filters.push(readName(cursor));
  return { packetId, filters, filterCount };
}
