import { ReasonCode } from '@lmqtt/common/reason-code';
import { authPacket } from '../../codec/cold.ts';
import type { Client } from '../client.ts';

/** AUTH to a client, 3.15: the next step of its authentication, or the end of a repeated one. */
export function sendAuth(
  connection: Client,
  reasonCode: number,
  authenticationData: Buffer | undefined,
): void {
  const authenticationMethod = connection.authenticationMethod ?? '';
  const { maximumPacketSize } = connection;
  const packet = authPacket(
    { reasonCode, authenticationMethod, authenticationData },
    maximumPacketSize,
  );
  if (maximumPacketSize !== undefined && packet.length > maximumPacketSize) {
    // [MQTT-3.1.2-24]: nothing can be left out of it.
    connection.fail(ReasonCode.packetTooLarge, 'AUTH is larger than the client takes');
    return;
  }
  connection.sendPacket('auth', packet);
}
