import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Disconnect } from '../../packet/disconnect.ts';
import type { Client } from '../client.ts';

/** DISCONNECT from a client, 3.14: with 0x00 its will is removed [MQTT-3.14.4-3]. */
export function onDisconnect(connection: Client, packet: Disconnect): void {
  const { sessionExpiryS, reasonCode } = packet;
  if (sessionExpiryS !== undefined && sessionExpiryS > 0 && connection.askedSessionExpiryS === 0) {
    // 3.14.2.2.2: a session that was to end with its connection cannot be kept now.
    connection.fail(ReasonCode.protocolError, 'session expiry raised from 0');
    return;
  }
  connection.finish({
    publishWill: reasonCode !== ReasonCode.success,
    sessionExpiryS,
    reason: 'client',
  });
}
