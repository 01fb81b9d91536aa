import type { Client } from '../client.ts';

/** PINGREQ, 3.12: answered behind what came before it, retained messages at QoS 0 included. */
export function onPingreq(connection: Client): void {
  const { node, handle, inbound, outbox } = connection;
  if (inbound.beginSettling()) {
    const settled = (): void => {
      inbound.endSettling();
      if (connection.ended) return;
      outbox.flushLater();
      connection.resumeReading();
    };
    if (inbound.tooManyRequests) connection.pauseReading();
    node.turn.flush();
    // The client is not kept waiting if ds cannot answer.
    node.link.settle(handle).then(settled, settled);
  }
  outbox.ping();
}
