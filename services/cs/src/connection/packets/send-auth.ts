import { authPacket } from '../../codec/cold.ts';
import type { Client } from '../client.ts';

/** AUTH to a client, 3.15: the next step of its authentication, or the end of a repeated one. */
export function sendAuth(
  connection: Client,
  reasonCode: number,
  authenticationData: Buffer | undefined,
): void {
  const authenticationMethod = connection.authenticationMethod ?? '';
  const packet = { reasonCode, authenticationMethod, authenticationData };
  connection.sendPacket('auth', authPacket(packet, connection.maximumPacketSize));
}
