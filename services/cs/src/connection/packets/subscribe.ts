import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicFilter, levelCount, parseSharedFilter } from '@lmqtt/common/topic';
import { mountedFilter } from '@lmqtt/common/mount';
import { nextTurn } from '@lmqtt/common/pause';
import type { SubscribeAnswer, SubscribeEntry } from '@lmqtt/proto/link';
import type { SubscriptionOptions } from '@lmqtt/proto/session-state';
import { parseReplayFilter, replayFilter, withoutReplay } from '@lmqtt/common/replay-filter';
import { suback } from '../../codec/cold.ts';
import type { FilterRequest, Subscribe } from '../../packet/subscribe.ts';
import type { Session } from '../../session/session.ts';
import type { Client } from '../client.ts';
import { isOnePortion, portionsOf, weightOf } from './portions.ts';
import { codeIn } from './refusal-codes.ts';

/** Filters that may be subscribed to, and where their answers go among all of the packet. */
interface Planned {
  readonly entries: SubscribeEntry[];
  readonly places: number[];
}

/** SUBSCRIBE, 3.8: one answer for all filters [MQTT-3.8.4-6], when routes and positions are stored. */
export function onSubscribe(connection: Client, packet: Subscribe): void {
  const { filters, filterCount } = packet;
  if (filterCount > filters.length) {
    connection.node.events.limit('MAX_FILTERS_PER_PACKET');
    answer(connection, packet, new Uint8Array(filterCount).fill(ReasonCode.quotaExceeded));
    return;
  }
  if (isOnePortion(filterCount)) subscribeAtOnce(connection, packet);
  else subscribeInPortions(connection, packet).catch((error: unknown) => connection.broken(error));
}

function subscribeAtOnce(connection: Client, packet: Subscribe): void {
  const { node, inbound, packetBytes } = connection;
  const reasonCodes = new Uint8Array(packet.filterCount);
  const planned = plan(connection, packet, 0, packet.filterCount, reasonCodes);
  if (planned === undefined) return;
  if (planned.entries.length === 0) {
    answer(connection, packet, reasonCodes);
    return;
  }
  node.turn.flush();
  const weight = weightOf(packetBytes, packet.filterCount);
  if (!inbound.beginRequest(weight)) connection.pauseReading();
  node.link
    .subscribe(connection.handle, planned.entries)
    .then((answers) => {
      const held = inbound.endRequest(weight);
      take(planned, answers, reasonCodes);
      const { session } = connection;
      if (session !== undefined && !session.closed) {
        // SUBACK goes into the outbox before anything that the subscriptions send.
        answer(connection, packet, reasonCodes, noteOf(answers));
        subscribed(session, planned, answers);
      }
      for (const publish of held) node.turn.publish(publish);
      connection.resumeReading();
    })
    .catch((error: unknown) => connection.broken(error));
}

/** The subscriptions of each portion begin before SUBACK leaves, as 3.8.4 allows. */
async function subscribeInPortions(connection: Client, packet: Subscribe): Promise<void> {
  const { node, inbound, packetBytes } = connection;
  const reasonCodes = new Uint8Array(packet.filterCount);
  const weight = weightOf(packetBytes, packet.filterCount);
  if (!inbound.beginRequest(weight)) connection.pauseReading();
  node.turn.flush();
  let note: string | undefined;
  for (const [from, to] of portionsOf(packet.filterCount)) {
    if (from > 0) await nextTurn();
    const planned = plan(connection, packet, from, to, reasonCodes);
    if (planned === undefined || connection.ended) return;
    if (planned.entries.length === 0) continue;
    const answers = await node.link.subscribe(connection.handle, planned.entries);
    take(planned, answers, reasonCodes);
    const { session } = connection;
    if (session === undefined || session.closed) return;
    subscribed(session, planned, answers);
    note ??= noteOf(answers);
  }
  answer(connection, packet, reasonCodes, note);
  for (const publish of inbound.endRequest(weight)) node.turn.publish(publish);
  connection.resumeReading();
}

/** The request to ds for a portion of the filters; undefined: the packet ends the connection. */
function plan(
  connection: Client,
  { filters, subscriptionIdentifier, replayFrom }: Subscribe,
  from: number,
  to: number,
  reasonCodes: Uint8Array,
): Planned | undefined {
  const entries: SubscribeEntry[] = [];
  const places: number[] = [];
  for (let index = from; index < to; index += 1) {
    const request = filters[index]!;
    const refusal = check(connection, request);
    if (refusal === ReasonCode.topicFilterInvalid && closes(connection, request.filter)) {
      connection.fail(ReasonCode.topicFilterInvalid, 'malformed topic filter');
      return undefined;
    }
    if (refusal === 'protocol error') {
      connection.fail(ReasonCode.protocolError, 'no local on a shared subscription');
      return undefined;
    }
    if (refusal !== undefined) {
      reasonCodes[index] = refusal;
      continue;
    }
    const filter = mounted(connection, request.filter);
    if (filter === undefined) {
      reasonCodes[index] = ReasonCode.topicFilterInvalid;
      continue;
    }
    places.push(index);
    const options = optionsOf(connection, request, subscriptionIdentifier);
    const isReplay = replayFrom !== undefined && parseReplayFilter(filter) === undefined;
    const entry = {
      filter: isReplay ? replayFilter({ from: replayFrom, filter }) : filter,
      options,
    };
    const replay = parseReplayFilter(entry.filter);
    if (replay !== undefined) connection.session?.tellPositions(replay.filter, false);
    entries.push(entry);
  }
  return { entries, places };
}

/** The filter in full, with the namespace of the client; undefined: it is too long. */
export function mounted({ mount }: Client, filter: string): string | undefined {
  return mount === '' ? filter : mountedFilter(mount, filter);
}

function take(
  { entries, places }: Planned,
  answers: readonly SubscribeAnswer[],
  reasonCodes: Uint8Array,
): void {
  for (const index of entries.keys())
    reasonCodes[places[index]!] = reasonOf(entries, index, answers[index]);
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
  const filter = withoutReplay(request.filter);
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

/** ds may have granted less than was asked for. */
function reasonOf(
  entries: readonly SubscribeEntry[],
  index: number,
  answer: SubscribeAnswer | undefined,
): number {
  if (answer?.kind === 'granted') {
    const { filter, options } = entries[index]!;
    const { qos } = answer.subscription.options;
    // The answer has the options of the last entry with its filter.
    if (qos >= options.qos) return options.qos;
    const isLast = !entries.some((other, at) => at > index && other.filter === filter);
    return isLast ? qos : options.qos;
  }
  return codeIn('suback', answer?.reasonCode ?? ReasonCode.unspecifiedError);
}

function subscribed(
  session: Session,
  { entries }: Planned,
  answers: readonly SubscribeAnswer[],
): void {
  for (const [index, each] of answers.entries()) {
    const replay = parseReplayFilter(entries[index]!.filter);
    if (each.kind === 'refused') {
      if (replay !== undefined) session.tellPositions(replay.filter, true);
      continue;
    }
    // A replay is another subscription than the one of that name before it.
    if (replay !== undefined) session.unsubscribe(each.subscription.filter);
    const subscription = session.subscribe(each.subscription, each.replacedAt);
    if (each.retained) session.sendRetained(subscription, '');
  }
}

function noteOf(answers: readonly SubscribeAnswer[]): string | undefined {
  for (const each of answers)
    if (each.kind === 'granted' && each.note !== undefined) return each.note;
  return undefined;
}

/** `note`: a reason string, where the client wants one and has room for it. */
function answer(
  connection: Client,
  packet: Subscribe,
  reasonCodes: Uint8Array,
  note?: string,
): void {
  const { packetId } = packet;
  const { version, explains, maximumPacketSize = Infinity } = connection;
  const answers = { packetId, reasonCodes };
  let bytes = suback(answers, version);
  if (note !== undefined && version === 5 && explains) {
    const explained = suback({ ...answers, reasonString: note }, version);
    if (explained.length <= maximumPacketSize) bytes = explained;
  }
  connection.sendPacket('suback', bytes);
}
