import { ReasonCode } from '@lmqtt/common/reason-code';
import { authPacket } from '../../codec/cold.ts';
import type { Auth } from '../../packet/auth.ts';
import type { Connection } from '../connection.ts';
import { connectAnswered } from './connect.ts';

/** AUTH from a client, 3.15 and 4.12: the next step before CONNACK, or of a re-authentication. */
export function onAuth(connection: Connection, packet: Auth): void {
  const method = connection.authenticationMethod;
  if (method === undefined) {
    // [MQTT-4.12.0-1]: it may only follow a CONNECT that named a method.
    connection.fail(ReasonCode.protocolError, 'AUTH without an authentication method');
    return;
  }
  if (packet.authenticationMethod !== method) {
    // [MQTT-4.12.0-5]
    connection.fail(ReasonCode.protocolError, 'another authentication method');
    return;
  }
  const { node, handle } = connection;
  const starts = packet.reasonCode === ReasonCode.reAuthenticate;
  if (connection.session === undefined) {
    if (starts) {
      connection.fail(ReasonCode.protocolError, 're-authentication before CONNACK');
      return;
    }
    connection.reader.stop();
    node.link
      .continueConnect(handle, packet.authenticationData)
      .then((answer) => connectAnswered(connection, answer))
      .catch((error: unknown) => connection.broken(error));
    return;
  }
  if (starts === connection.reauthenticating) {
    connection.fail(ReasonCode.protocolError, 'AUTH out of turn');
    return;
  }
  connection.reauthenticating = true;
  node.link
    .reauthenticate(handle, packet.authenticationData, starts)
    .then((answer) => {
      if (answer.kind === 'refused') {
        connection.fail(answer.reasonCode, 're-authentication failed');
        return;
      }
      const done = answer.kind === 'success';
      if (done) connection.reauthenticating = false;
      const reasonCode = done ? ReasonCode.success : ReasonCode.continueAuthentication;
      const { authenticationData } = answer;
      sendAuth(connection, reasonCode, authenticationData);
    })
    .catch((error: unknown) => connection.broken(error));
}

export function sendAuth(
  connection: Connection,
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
