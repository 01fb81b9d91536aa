import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Auth } from '../../packet/auth.ts';
import type { Client } from '../client.ts';
import { connectAnswered } from './connect.ts';
import { sendAuth } from './send-auth.ts';

/** AUTH from a client, 3.15 and 4.12: the next step before CONNACK, or of a re-authentication. */
export function onAuth(connection: Client, packet: Auth): void {
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
    connection.stopPackets();
    connection.await('answer');
    const name = `${method} ${connection.clientId}`;
    node.entrance.enter(connection, name, () => {
      node.link
        .continueConnect(handle, packet.authenticationData)
        .then((answer) => connectAnswered(connection, answer))
        .catch((error: unknown) => connection.broken(error));
    });
    return;
  }
  if (starts === connection.reauthenticating || connection.stepAsked) {
    connection.fail(ReasonCode.protocolError, 'AUTH out of turn');
    return;
  }
  connection.reauthenticating = true;
  connection.stepAsked = true;
  node.link
    .reauthenticate(handle, packet.authenticationData, starts)
    .then((answer) => {
      connection.stepAsked = false;
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
