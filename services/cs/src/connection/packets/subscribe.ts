import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicFilter, levelCount, parseSharedFilter } from '@lmqtt/common/topic';
import type { SubscribeAnswer, SubscribeEntry, SubscriptionOptions } from '@lmqtt/proto/link';
import { suback } from '../../codec/cold.ts';
import type { FilterRequest, Subscribe } from '../../packet/subscribe.ts';
import type { Client } from '../client.ts';
import { codeIn } from './refusal-codes.ts';

/** SUBSCRIBE, 3.8: one answer for all filters [MQTT-3.8.4-6], when routes and positions are stored. */
export function onSubscribe(connection: Client, packet: Subscribe): void {
  const reasonCodes: number[] = [];
  const entries: SubscribeEntry[] = [];
  const places: number[] = [];
  for (const request of packet.filters) {
    const refusal = check(connection, request);
    if (refusal === ReasonCode.topicFilterInvalid && closes(connection, request.filter)) {
      connection.fail(ReasonCode.topicFilterInvalid, 'malformed topic filter');
      return;
    }
    if (refusal === 'protocol error') {
      connection.fail(ReasonCode.protocolError, 'no local on a shared subscription');
      return;
    }
    reasonCodes.push(refusal ?? ReasonCode.success);
    if (refusal !== undefined) continue;
    places.push(reasonCodes.length - 1);
    const { subscriptionIdentifier } = packet;
    const options = optionsOf(connection, request, subscriptionIdentifier);
    entries.push({ filter: request.filter, options });
  }
  if (entries.length === 0) {
    answer(connection, packet, reasonCodes);
    return;
  }
  connection.node.turn.flush();
  const { packetBytes } = connection;
  if (!connection.inbound.beginRequest(packetBytes)) connection.pauseReading();
  connection.node.link
    .subscribe(connection.handle, entries)
    .then((answers) => {
      const held = connection.inbound.endRequest(packetBytes);
      entries.forEach((entry, index) => {
        reasonCodes[places[index] ?? -1] = reasonOf(connection, entry, answers[index]);
      });
      subscribed(connection, packet, reasonCodes, answers);
      for (const publish of held) connection.node.turn.publish(publish);
      connection.resumeReading();
    })
    .catch((error: unknown) => connection.broken(error));
}

/** A bridge gets neither its own messages back nor other retain flags than were published. */
function optionsOf(
  { isBridge }: Client,
  request: FilterRequest,
  subscriptionIdentifier: number | undefined,
): SubscriptionOptions {
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = request;
  return {
    qos,
    noLocal: noLocal || (isBridge && !filter.startsWith('$share/')),
    retainAsPublished: retainAsPublished || isBridge,
    retainHandling,
    subscriptionIdentifier,
  };
}

/**
 * [MQTT-4.7.1-2], [MQTT-4.7.1-3]: before 5.0 there is no answer for a malformed filter. Shared ones
 * are not of 3.1.1: they fail alone, as in 5.0.
 */
export function closes(connection: Client, filter: string): boolean {
  return connection.version !== 5 && !filter.startsWith('$share/') && !isWellFormed(filter);
}

export function isWellFormed(filter: string): boolean {
  const shared = parseSharedFilter(filter);
  return shared !== 'malformed' && isValidTopicFilter(shared?.filter ?? filter);
}

/** The reason code of a filter that cannot be served. */
function check(
  connection: Client,
  request: FilterRequest,
): ReasonCode | 'protocol error' | undefined {
  const { filter } = request;
  const shared = parseSharedFilter(filter);
  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  if (shared === 'malformed') return ReasonCode.topicFilterInvalid;
  // [MQTT-3.8.3-4]
  if (shared !== undefined && request.noLocal) return 'protocol error';
  const own = shared?.filter ?? filter;
  if (!isValidTopicFilter(own)) return ReasonCode.topicFilterInvalid;
  if (levelCount(own) > connection.node.config.maxTopicLevels) {
    connection.node.events.limit('MAX_TOPIC_LEVELS');
    return ReasonCode.topicFilterInvalid;
  }
  return undefined;
}

function reasonOf(
  connection: Client,
  entry: SubscribeEntry,
  answer: SubscribeAnswer | undefined,
): number {
  if (answer?.kind === 'granted') return entry.options.qos;
  const reasonCode = answer?.reasonCode ?? ReasonCode.unspecifiedError;
  if (reasonCode === ReasonCode.quotaExceeded) {
    connection.node.events.limit('MAX_SUBSCRIPTIONS_PER_SESSION');
  }
  return codeIn('suback', reasonCode);
}

function subscribed(
  connection: Client,
  packet: Subscribe,
  reasonCodes: readonly number[],
  answers: readonly SubscribeAnswer[],
): void {
  const { session } = connection;
  if (session === undefined || session.closed) return;
  // SUBACK goes into the outbox before anything that the subscriptions send.
  answer(connection, packet, reasonCodes);
  for (const each of answers) {
    if (each.kind === 'refused') continue;
    const subscription = session.subscribe(each.subscription, each.replacedAt);
    if (each.retained) session.sendRetained(subscription, '');
  }
}

function answer(connection: Client, packet: Subscribe, reasonCodes: readonly number[]): void {
  const { packetId } = packet;
  connection.sendPacket(
    'suback',
    suback({ packetId, reasonCodes }, connection.version, connection.maximumPacketSize),
  );
}
