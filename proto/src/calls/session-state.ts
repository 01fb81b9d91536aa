import { groupId, queueId } from '@lmqtt/common/ids';
import type { OrderKey } from '@lmqtt/common/message';
import type {
  OutboundState,
  Place,
  Position,
  SessionState,
  SubscriptionOptions,
  SubscriptionState,
} from '../session-state.ts';
import { required } from './codec.ts';
import { orderKeyOf, qosOf } from './message.ts';

export interface PlainSessionState {
  readonly subscriptions: readonly PlainSubscription[];
  readonly outbound: readonly PlainOutbound[];
  readonly inbound: number[];
}

export interface PlainSubscription {
  readonly filter: string;
  readonly options: PlainOptions | null;
  readonly group: number;
  readonly queue: number;
  readonly positions: readonly Position[];
  readonly retainedAfter?: string | undefined;
}

export interface PlainOptions {
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
  readonly subscriptionIdentifier?: number | undefined;
}

interface PlainOutbound {
  readonly packetId: number;
  readonly qos: number;
  readonly released: boolean;
  readonly sequence: number;
  readonly place: PlainPlace | null;
  readonly filter: string;
}

interface PlainPlace {
  readonly queue?: number;
  readonly group?: number;
  readonly partition?: number;
  readonly offset?: number;
  readonly topic?: string;
  readonly orderKey?: OrderKey | null;
}

export function plainState(state: SessionState): PlainSessionState {
  return {
    subscriptions: state.subscriptions.map(plainSubscription),
    outbound: state.outbound.map(plainOutbound),
    inbound: state.inbound,
  };
}

export function stateOf(plain: PlainSessionState): SessionState {
  return {
    subscriptions: plain.subscriptions.map(subscriptionOf),
    outbound: plain.outbound.map(outboundOf),
    inbound: plain.inbound,
  };
}

export function plainSubscription(subscription: SubscriptionState): PlainSubscription {
  const { filter, options, group, queue, positions, retainedAfter } = subscription;
  return { filter, options, group: group ?? 0, queue, positions, retainedAfter };
}

export function subscriptionOf(plain: PlainSubscription): SubscriptionState {
  return {
    filter: plain.filter,
    options: optionsOf(required(plain.options, 'options of a subscription')),
    group: plain.group === 0 ? undefined : groupId(plain.group),
    queue: queueId(plain.queue),
    positions: plain.positions.map(({ partition, start, position, done }) => ({
      partition,
      start,
      position,
      done,
    })),
    retainedAfter: plain.retainedAfter,
  };
}

export function optionsOf(plain: PlainOptions): SubscriptionOptions {
  return {
    qos: qosOf(plain.qos),
    noLocal: plain.noLocal,
    retainAsPublished: plain.retainAsPublished,
    retainHandling: retainHandlingOf(plain.retainHandling),
    subscriptionIdentifier: plain.subscriptionIdentifier,
  };
}

function retainHandlingOf(number: number): 0 | 1 | 2 {
  if (number === 0 || number === 1 || number === 2) return number;
  throw new RangeError(`there is no retain handling ${number}`);
}

function plainOutbound(outbound: OutboundState): PlainOutbound {
  return {
    packetId: outbound.packetId,
    qos: outbound.qos,
    released: outbound.state === 'released',
    sequence: outbound.sequence,
    place: plainPlace(outbound.place),
    filter: outbound.filter,
  };
}

function outboundOf(plain: PlainOutbound): OutboundState {
  const qos = qosOf(plain.qos);
  if (qos === 0) throw new RangeError('a packet identifier at QoS 0');
  return {
    packetId: plain.packetId,
    qos,
    state: plain.released ? 'released' : 'sent',
    sequence: plain.sequence,
    place: placeOf(required(plain.place, 'place of a packet identifier')),
    filter: plain.filter,
  };
}

function plainPlace(place: Place): PlainPlace {
  if (place.kind === 'retained') return { topic: place.topic, orderKey: place.orderKey };
  const { queue, partition, offset } = place;
  return place.kind === 'group'
    ? { queue, group: place.group, partition, offset }
    : { queue, partition, offset };
}

function placeOf(plain: PlainPlace): Place {
  const { queue = 0, group = 0, partition = 0, offset = 0, topic = '' } = plain;
  if (queue === 0) {
    const orderKey = orderKeyOf(required(plain.orderKey, 'order key of a retained message'));
    return { kind: 'retained', topic, orderKey };
  }
  return group === 0
    ? { kind: 'queue', queue: queueId(queue), partition, offset }
    : { kind: 'group', group: groupId(group), queue: queueId(queue), partition, offset };
}
