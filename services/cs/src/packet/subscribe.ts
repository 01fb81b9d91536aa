import type { Qos } from '@lmqtt/common/qos';

/**
 * SUBSCRIBE, section 3.8. At least one filter; the syntax of filters is not checked yet. Where there
 * are more than are taken, they are counted and not read.
 */
export interface Subscribe {
  readonly packetId: number;
  readonly filters: readonly FilterRequest[];
  readonly filterCount: number;
  /** 1 … 268,435,455. */
  readonly subscriptionIdentifier: number | undefined;
  /** From where on its filters are to be replayed. */
  readonly replayFrom?: string | undefined;
}

/** The options but the QoS are false and 0 before 5.0. */
export interface FilterRequest {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}
