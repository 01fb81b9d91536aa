// A receipt: what became of a message at a client that it was delivered to. A publisher asks for it
// by user properties, and cs asks its ds to publish it.
import { eachUserProperty, mayHaveOwn } from './user-properties.ts';

/** Where a cs publishes receipts, for ds to send on; no client may. */
export const receiptsTopic = '$lmqtt/receipt';
/** Prefix of topics that clients may not publish to. */
export const internalTopics = '$lmqtt/';

const topicName = Buffer.from('lmqtt-receipt');
const idName = Buffer.from('lmqtt-receipt-id');

interface ReceiptRequest {
  /** Where the receipt is to be published. */
  readonly topic: string;
  /** Identifier that the publisher chose, to be told with the receipt. */
  readonly id: string | undefined;
}

/** A message in flight whose publisher has asked for a receipt. */
export interface AskedReceipt extends ReceiptRequest {
  readonly messageTopic: string;
  readonly qos: number;
}

/** Messages in flight to one client that ask for a receipt, by packet identifier. */
export type Receipts = Map<number, AskedReceipt>;

export interface Receipt {
  /** Topic of the message. */
  readonly topic: string;
  readonly clientId: string;
  readonly outcome: 'acknowledged' | 'refused' | 'expired' | 'dead-lettered';
  /** ms since 1970. */
  readonly at: number;
  readonly qos: number;
  readonly id?: string | undefined;
}

/** A receipt on its way from cs to ds. */
export interface SentReceipt {
  readonly to: string;
  readonly receipt: Receipt;
}

/** undefined: the message asks for none. */
export function receiptRequest(properties: Buffer): ReceiptRequest | undefined {
  if (!mayHaveOwn(properties)) return undefined;
  let topic: string | undefined;
  let id: string | undefined;
  eachUserProperty(properties, (name, value) => {
    if (name.equals(topicName)) topic = value;
    else if (name.equals(idName)) id = value;
  });
  return topic === undefined ? undefined : { topic, id };
}
