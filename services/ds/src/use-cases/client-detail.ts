// All that is known of one client: for the question why a device did not get a message.
import { cursorOf, isTime } from '@lmqtt/common/cursor';
import { isP2pFilter } from '@lmqtt/common/p2p';
import {
  type ClientLine,
  clientLine,
  type ClientsPorts,
  type SubscriptionLine,
  subscriptionLine,
} from './clients.ts';
import type {
  StoredSession,
  StoredSubscription,
  StoredWill,
} from '../session-store/stored-session.ts';

interface PartitionProgress {
  readonly partition: number;
  /** Everything below is done with; null: it starts at a time. */
  readonly position: number | null;
  /** The next message gets this offset, or a greater one; null: it cannot be reached now. */
  readonly end: number | null;
}

interface SubscriptionDetail extends SubscriptionLine {
  /** Positions of a shared group are its own: empty there. */
  readonly partitions: readonly PartitionProgress[];
  /** Messages between position and end, without those in flight. */
  readonly backlog: number;
  readonly inFlight: number;
}

export interface ClientDetail extends ClientLine {
  /** Wall clock. */
  readonly createdAtMs: number;
  readonly will: {
    readonly topic: string;
    readonly qos: number;
    readonly retain: boolean;
    readonly delayS: number;
    readonly payloadBytes: number;
  } | null;
  readonly subscriptionList: readonly SubscriptionDetail[];
  /** Packet identifiers of QoS 2 publishes of the client that it has not released. */
  readonly inboundQos2: number;
  readonly outboundQos1: number;
  readonly outboundQos2: number;
}

export interface DetailPorts extends Pick<ClientsPorts, 'live' | 'queueStore'> {
  readonly sessionStore: { willOf(session: StoredSession): Promise<StoredWill | undefined> };
}

/** The ends of so many queues are asked for together. */
const queuesAtOnce = 50;

export async function clientDetail(
  ports: DetailPorts,
  session: StoredSession,
): Promise<ClientDetail> {
  const line = await clientLine(ports, session);
  const inFlight = new Map<string, number>();
  const outbound = { 1: 0, 2: 0 };
  for (const { qos, filter } of session.outbound) {
    outbound[qos] += 1;
    inFlight.set(filter, (inFlight.get(filter) ?? 0) + 1);
  }
  const subscriptionList: SubscriptionDetail[] = [];
  const asked = session.subscriptions.filter(({ filter }) => !isP2pFilter(filter));
  for (let at = 0; at < asked.length; at += queuesAtOnce) {
    const some = asked.slice(at, at + queuesAtOnce);
    const details = some.map((one) => detailOf(ports, one, inFlight.get(one.filter) ?? 0));
    subscriptionList.push(...(await Promise.all(details)));
  }
  return {
    ...line,
    createdAtMs: session.madeEpoch,
    will: willDetail(await ports.sessionStore.willOf(session)),
    subscriptionList,
    inboundQos2: [...session.inbound].length,
    outboundQos1: outbound[1],
    outboundQos2: outbound[2],
  };
}

function willDetail(stored: StoredWill | undefined): ClientDetail['will'] {
  if (stored === undefined) return null;
  const { message, delayS } = stored.will;
  const { topic, qos, retain, payloadBytes } = message;
  return { topic, qos, retain, delayS, payloadBytes };
}

async function detailOf(
  { queueStore }: DetailPorts,
  subscription: StoredSubscription,
  inFlight: number,
): Promise<SubscriptionDetail> {
  const { group, queue, cursors } = subscription;
  const partitions: PartitionProgress[] = [];
  let backlog = 0;
  if (group === undefined) {
    for (const { partition, first, end, owedFrom = 0 } of await queueStore.ends(queue)) {
      const { position, done } = cursorOf([...cursors], partition, owedFrom);
      const isKnown = !isTime(position) && !isTime(end);
      if (isKnown) backlog += Math.max(0, end - Math.max(first, position) - done.length);
      partitions.push({
        partition,
        position: isTime(position) ? null : position,
        end: isTime(end) ? null : end,
      });
    }
  }
  return {
    ...subscriptionLine(subscription),
    partitions,
    backlog: Math.max(0, backlog - inFlight),
    inFlight,
  };
}
