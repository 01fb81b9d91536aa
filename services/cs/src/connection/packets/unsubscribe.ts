import { ReasonCode } from '@lmqtt/common/reason-code';
import { unsuback } from '../../codec/cold.ts';
import type { Unsubscribe } from '../../packet/unsubscribe.ts';
import type { Client } from '../client.ts';
import { codeIn } from './refusal-codes.ts';
import { closes, isWellFormed } from './subscribe.ts';

/** UNSUBSCRIBE, 3.10: nothing new is sent for the filters when UNSUBACK has left [MQTT-3.10.4-2]. */
export function onUnsubscribe(connection: Client, packet: Unsubscribe): void {
  const valid = packet.filters.map(isWellFormed);
  const filters = packet.filters.filter((_, index) => valid[index] === true);
  if (packet.filters.some((filter) => closes(connection, filter))) {
    connection.fail(ReasonCode.topicFilterInvalid, 'malformed topic filter');
    return;
  }
  const { node, handle, inbound, packetBytes } = connection;
  if (!inbound.beginRequest(packetBytes)) connection.pauseReading();
  node.turn.flush();
  node.link
    .unsubscribe(handle, filters)
    .then((answers) => {
      for (const publish of inbound.endRequest(packetBytes)) node.turn.publish(publish);
      const { session } = connection;
      if (session === undefined || session.closed) return;
      for (const filter of filters) session.unsubscribe(filter);
      let index = 0;
      const reasonCodes = valid.map((ok) =>
        ok
          ? codeIn('unsuback', answers[index++] ?? ReasonCode.unspecifiedError)
          : ReasonCode.topicFilterInvalid,
      );
      const { packetId } = packet;
      connection.sendPacket(
        'unsuback',
        unsuback({ packetId, reasonCodes }, connection.version, connection.maximumPacketSize),
      );
      connection.resumeReading();
    })
    .catch((error: unknown) => connection.broken(error));
}
