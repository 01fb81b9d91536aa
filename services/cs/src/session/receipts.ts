import type { Message } from '@lmqtt/common/message';
import { type AskedReceipt, type Receipt, receiptRequest } from '@lmqtt/common/receipt';
import { unmountedTopic } from '@lmqtt/common/mount';
import type { OutboundSession } from './outbound-session.ts';

/** The message is out: it may ask for a receipt. */
export function noteReceipt(
  session: OutboundSession,
  packetId: number,
  qos: number,
  { topic, properties }: Message,
): void {
  const request = properties && receiptRequest(properties);
  if (request === undefined) return;
  session.receipts ??= new Map();
  session.receipts.set(packetId, { ...request, messageTopic: topic, qos });
}

/** The message is done with for this client. */
export function tellReceipt(
  session: OutboundSession,
  packetId: number,
  outcome: Receipt['outcome'],
): void {
  const asked = session.receipts?.get(packetId);
  if (asked === undefined) return;
  session.receipts?.delete(packetId);
  tell(session, asked, outcome);
}

/** The message is passed over for this client. */
export function tellExpiredReceipt(session: OutboundSession, message: Message): void {
  const { properties, topic: messageTopic, qos } = message;
  const request = properties && receiptRequest(properties);
  if (request !== undefined) tell(session, { ...request, messageTopic, qos }, 'expired');
}

function tell(
  session: OutboundSession,
  { topic: to, id, messageTopic: topic, qos }: AskedReceipt,
  outcome: Receipt['outcome'],
): void {
  const { clientId, node, mount } = session;
  const own = mount === '' ? topic : (unmountedTopic(mount, topic) ?? topic);
  node.sendReceipt(session, {
    to,
    receipt: { topic: own, clientId, outcome, at: Date.now(), qos, id },
  });
}
