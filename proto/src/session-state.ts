import type { GroupId, QueueId } from '@lmqtt/common/ids';
import type { OrderKey } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';

/** As in SUBSCRIBE, 3.8.3.1 of 5.0; 3.1.1 has only the QoS. */
export interface SubscriptionOptions {
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 at subscribe, 1 only if the subscription is new, 2 never. */
  readonly retainHandling: 0 | 1 | 2;
  readonly subscriptionIdentifier: number | undefined;
}

/** A place in a queue. */
export interface PartitionOffset {
  readonly partition: number;
  readonly offset: number;
}

/** A subscription and how far it has come. */
export interface SubscriptionState {
  /** As sent by the client: its name in the session. */
  readonly filter: string;
  readonly options: SubscriptionOptions;
  /** Present where it is shared: its messages come by `Downstream.assign`. */
  readonly group: GroupId | undefined;
  readonly queue: QueueId;
  /** One for each partition that the queue has; empty where shared. */
  readonly positions: Position[];
  /** Retained messages are still to be sent, from after this topic on; undefined: none. */
  readonly retainedAfter: string | undefined;
}

export interface Position {
  readonly partition: number;
  /** The first offset that the subscription is owed; below 0: a time (`positionSince`). */
  readonly start: number;
  /** All offsets from start to here are done with; a time where the start is one. */
  readonly position: number;
  /** Offsets at or past the position that are done with, ascending. */
  readonly done: number[];
}

/** The message for which an outbound packet identifier stands. */
export type Place =
  | {
      readonly kind: 'queue';
      readonly queue: QueueId;
      readonly partition: number;
      readonly offset: number;
    }
  | {
      readonly kind: 'group';
      readonly group: GroupId;
      readonly queue: QueueId;
      readonly partition: number;
      readonly offset: number;
    }
  | { readonly kind: 'retained'; readonly topic: string; readonly orderKey: OrderKey };

export interface OutboundState {
  readonly packetId: number;
  readonly qos: 1 | 2;
  /** `released`: PUBREC was received, PUBREL is to be sent (again). */
  readonly state: 'sent' | 'released';
  /** Grows in the order of sending; redelivery keeps it. */
  readonly sequence: number;
  readonly place: Place;
  /** Filter of the subscription, for its identifiers and options. */
  readonly filter: string;
}

export interface SessionState {
  readonly subscriptions: SubscriptionState[];
  readonly outbound: OutboundState[];
  /** Packet identifiers of QoS 2 publishes that were stored and not yet released. */
  readonly inbound: number[];
}
