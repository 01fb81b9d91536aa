import type { Qos } from '@lmqtt/common/qos';
import type { UserProperty } from './property.ts';

/** SUBSCRIBE, section 3.8. At least one filter; the syntax of filters is not checked yet. */
export interface Subscribe {
  readonly packetId: number;
  readonly filters: readonly FilterRequest[];
  /** 1 … 268,435,455. */
  readonly subscriptionIdentifier: number | undefined;
  readonly userProperties: readonly UserProperty[];
}

/** The options but the QoS are false and 0 before 5.0. */
export interface FilterRequest {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}
