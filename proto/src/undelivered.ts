import type { QueueId } from '@lmqtt/common/ids';

/** Reasons for which a stored message was not delivered. */
export const undeliveredReasons = ['refused', 'unacknowledged', 'expired', 'too large'] as const;

export type UndeliveredReason = (typeof undeliveredReasons)[number];

/** A stored message that was not delivered, by its place in one of the session's queues. */
export interface UndeliveredMessage {
  readonly reason: UndeliveredReason;
  /** Code in the client's PUBACK or PUBREC; 0: it did not send one. */
  readonly reasonCode: number;
  /** Filter of the subscription. */
  readonly filter: string;
  readonly queue: QueueId;
  readonly partition: number;
  readonly offset: number;
  /** How often it was sent. */
  readonly attempts: number;
  /** Wall clock in ms; 0: not known. */
  readonly firstMs: number;
  readonly lastMs: number;
}
