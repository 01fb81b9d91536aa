import { ReasonCode } from '@lmqtt/common/reason-code';
import { puback, pubcomp, pubrec } from '../../session/acknowledgement.ts';
import type { Client } from '../client.ts';

/** PUBACK from a client, 3.4. An identifier that is not in use is passed over. */
export function onPuback(connection: Client, packetId: number, reasonCode: number): void {
  const { session } = connection;
  if (session === undefined) return;
  const result = puback(session, packetId, reasonCode >= 0x80, reasonCode);
  if (result === 'wrong') connection.fail(ReasonCode.protocolError, 'PUBACK for a QoS 2 publish');
}

/** PUBREC from a client, 3.5. */
export function onPubrec(connection: Client, packetId: number, reasonCode: number): void {
  const { session } = connection;
  if (session === undefined) return;
  const result = pubrec(session, packetId, reasonCode >= 0x80, reasonCode);
  if (result === 'wrong') {
    connection.fail(ReasonCode.protocolError, 'PUBREC for a publish that is not at QoS 2');
  } else if (result === 'unknown' && reasonCode < 0x80) {
    // 3.6.2.1: nothing is kept under it, which lets the client end its side.
    connection.outbox.acknowledge('pubrel', packetId, ReasonCode.packetIdentifierNotFound);
  }
}

/** PUBCOMP from a client, 3.7. */
export function onPubcomp(connection: Client, packetId: number, reasonCode: number): void {
  const { session } = connection;
  if (session === undefined) return;
  const result = pubcomp(session, packetId, reasonCode >= 0x80);
  if (result === 'wrong') {
    connection.fail(ReasonCode.protocolError, 'PUBCOMP for a publish that was not released');
  }
}

/** PUBREL from a client, 3.6: the identifier is free when that is durable [MQTT-4.3.3-11]. */
export function onPubrel(connection: Client, packetId: number): void {
  const { inbound, handle, node } = connection;
  const state = inbound.state2(packetId);
  if (state === undefined) {
    connection.outbox.acknowledge('pubcomp', packetId, ReasonCode.packetIdentifierNotFound);
    return;
  }
  if (state === 'storing') {
    connection.fail(ReasonCode.protocolError, 'PUBREL before PUBREC');
    return;
  }
  if (state === 'releasing') return;
  inbound.set2(packetId, 'releasing');
  node.journal.writeDurably({ kind: 'inbound-done', session: handle, packetId }, () => {
    inbound.end2(packetId);
    connection.outbox.acknowledge('pubcomp', packetId, ReasonCode.success);
    connection.resumeReading();
  });
}
