import { ReasonCode } from '@lmqtt/common/reason-code';
import { nextTurn } from '@lmqtt/common/pause';
import { withoutReplay } from '@lmqtt/common/replay-filter';
import { unsuback } from '../../codec/cold.ts';
import type { Unsubscribe } from '../../packet/unsubscribe.ts';
import type { Client } from '../client.ts';
import { portionsOf, weightOf } from './portions.ts';
import { codeIn } from './refusal-codes.ts';
import { closes, isWellFormed, mounted } from './subscribe.ts';

/** UNSUBSCRIBE, 3.10: nothing new is sent for the filters when UNSUBACK has left [MQTT-3.10.4-2]. */
export function onUnsubscribe(connection: Client, packet: Unsubscribe): void {
  const { filters, filterCount } = packet;
  if (filterCount > filters.length) {
    connection.node.events.limit('MAX_FILTERS_PER_PACKET');
    if (connection.version !== 5) connection.fail(ReasonCode.quotaExceeded, 'too many filters');
    else {
      const code = codeIn('unsuback', ReasonCode.quotaExceeded);
      answer(connection, packet, new Uint8Array(filterCount).fill(code));
    }
    return;
  }
  if (filters.some((filter) => closes(connection, filter))) {
    connection.fail(ReasonCode.topicFilterInvalid, 'malformed topic filter');
    return;
  }
  unsubscribe(connection, packet).catch((error: unknown) => connection.broken(error));
}

async function unsubscribe(connection: Client, packet: Unsubscribe): Promise<void> {
  const { node, handle, inbound, packetBytes } = connection;
  const reasonCodes = new Uint8Array(packet.filterCount);
  const weight = weightOf(packetBytes, packet.filterCount);
  if (!inbound.beginRequest(weight)) connection.pauseReading();
  node.turn.flush();
  for (const [from, to] of portionsOf(packet.filterCount)) {
    if (from > 0) await nextTurn();
    if (connection.ended) return;
    const filters: string[] = [];
    const places: number[] = [];
    for (let index = from; index < to; index += 1) {
      const asked = withoutReplay(packet.filters[index]!);
      const filter = isWellFormed(asked) ? mounted(connection, asked) : undefined;
      if (filter !== undefined) {
        filters.push(filter);
        places.push(index);
      } else reasonCodes[index] = ReasonCode.topicFilterInvalid;
    }
    const answers = await node.link.unsubscribe(handle, filters);
    for (const [index, place] of places.entries())
      reasonCodes[place] = codeIn('unsuback', answers[index] ?? ReasonCode.unspecifiedError);
    const { session } = connection;
    if (session !== undefined && !session.closed)
      for (const filter of filters) session.unsubscribe(filter);
  }
  for (const publish of inbound.endRequest(weight)) node.turn.publish(publish);
  if (connection.ended) return;
  answer(connection, packet, reasonCodes);
  connection.resumeReading();
}

function answer(connection: Client, packet: Unsubscribe, reasonCodes: Uint8Array): void {
  const { packetId } = packet;
  connection.sendPacket('unsuback', unsuback({ packetId, reasonCodes }, connection.version));
}
