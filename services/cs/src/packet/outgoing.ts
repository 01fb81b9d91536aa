import type { UserProperty } from './property.ts';

/**
 * Explanation that a packet to a 5.0 client may have beside its reason code; left out if it does
 * not fit.
 */
export interface Explanation {
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
}

/** CONNACK, section 3.2. Before 5.0 only the first two count. */
export interface Connack extends Explanation {
  readonly sessionPresent: boolean;
  /** A reason code of 5.0; the return codes of 3.1.1 are made from it. */
  readonly reasonCode: number;
  readonly sessionExpiryS?: number | undefined;
  readonly receiveMaximum?: number | undefined;
  readonly maximumQos?: 0 | 1 | undefined;
  readonly retainAvailable?: boolean | undefined;
  readonly maximumPacketSize?: number | undefined;
  readonly assignedClientIdentifier?: string | undefined;
  readonly topicAliasMaximum?: number | undefined;
  readonly wildcardSubscriptionAvailable?: boolean | undefined;
  readonly subscriptionIdentifiersAvailable?: boolean | undefined;
  readonly sharedSubscriptionAvailable?: boolean | undefined;
  readonly serverKeepAliveS?: number | undefined;
  readonly responseInformation?: string | undefined;
  readonly serverReference?: string | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Buffer | undefined;
}

/** SUBACK, section 3.9, and UNSUBACK, section 3.11: a reason code of 5.0 for each filter. */
export interface FilterAnswers {
  readonly packetId: number;
  readonly reasonCodes: ArrayLike<number>;
}

/** DISCONNECT to a 5.0 client, section 3.14. */
export interface ServerDisconnect extends Explanation {
  readonly reasonCode: number;
  readonly serverReference?: string | undefined;
}

/** AUTH to a 5.0 client, section 3.15. */
export interface ServerAuth extends Explanation {
  /** 0x00 or 0x18. */
  readonly reasonCode: number;
  readonly authenticationMethod: string;
  readonly authenticationData?: Buffer | undefined;
}
