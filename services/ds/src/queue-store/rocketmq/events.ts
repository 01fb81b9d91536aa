import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import { latencyBoundsS, type Metrics, type PlainCounters } from '@lmqtt/common/metrics';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import type { RefusedMessage } from '../../rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { LeftAloneLines } from './left-alone.ts';

const brokersKey = 'brokers';

const sendResults = ['stored', 'stored late', 'refused', 'unknown', 'not sent'] as const;
const failures = [
  'limit',
  'broker away',
  'broker refuses',
  'outcome unknown',
  'not storable',
  'taken over',
] as const;
const dispatchResults = ['stored', 'known', 'failed'] as const;
const unmappedReasons = [
  'no topic',
  'reserved topic',
  'bad properties',
  'unknown queue',
  'no subscriber',
  'no session',
] as const;
const unreadableReasons = ['topic', 'template', 'batch', 'compression', 'malformed'] as const;
const tailEvents = [
  'taken',
  'released',
  'lost',
  'moved back',
  'moved on',
  'unindexed',
  'second copy',
] as const;
type SendResult = (typeof sendResults)[number];
export type AppendFailure = (typeof failures)[number];
/** Why a message of a back end reaches no device, or not all. */
export type Unmapped = (typeof unmappedReasons)[number];
/** Why a message cannot be read. */
type Unreadable = (typeof unreadableReasons)[number];
type TailEvent = (typeof tailEvents)[number];

/** Business events of the queue store on RocketMQ: a counter and a log line each. */
export class RocketmqStoreEvents {
  readonly sends: PlainCounters<SendResult>;
  /** For operators, who ask for them. */
  readonly leftAlone: LeftAloneLines = new LeftAloneLines();
  readonly #logs: Logs;
  readonly #metrics: Metrics;
  readonly #failures: PlainCounters<AppendFailure>;
  readonly #tails: PlainCounters<TailEvent>;
  readonly #reads: PlainCounters<'pulls' | 'messages' | 'not for devices'>;
  readonly #dispatches: PlainCounters<(typeof dispatchResults)[number]>;
  readonly #unmapped: PlainCounters<Unmapped | Unreadable>;
  readonly #arrived: { value: number };
  readonly #dropped: { value: number };
  readonly #paced: { value: number };
  readonly #lost: { value: number };
  readonly #sendSeconds: ReturnType<Metrics['histogram']>;
  readonly #lines: RepeatedLines;

  constructor(logs: Logs, metrics: Metrics, clock: Clock) {
    this.#logs = logs;
    this.#metrics = metrics;
    this.#lines = new RepeatedLines(clock);
    this.sends = metrics.counters(
      'lmqtt_rocketmq_sends_total',
      'Sends to RocketMQ, by outcome',
      'result',
      sendResults,
    );
    this.#sendSeconds = metrics.histogram(
      'lmqtt_rocketmq_send_seconds',
      'Time until RocketMQ has stored a message that was sent, in seconds',
      latencyBoundsS,
    );
    this.#failures = metrics.counters(
      'lmqtt_rocketmq_appends_failed_total',
      'Publishes answered with a failure because RocketMQ did not store them, by reason',
      'reason',
      failures,
    );
    this.#tails = metrics.counters(
      'lmqtt_rocketmq_tail_events_total',
      'Events of the reading of ordinary RocketMQ queues (tails), by event',
      'event',
      tailEvents,
    );
    this.#reads = metrics.counters(
      'lmqtt_rocketmq_reads_total',
      'Reads of light queues: pulls, messages in them, and those of the messages that are not for devices',
      'of',
      ['pulls', 'messages', 'not for devices'],
    );
    this.#dispatches = metrics.counters(
      'lmqtt_rocketmq_dispatches_total',
      'Messages of back ends that were sent on to queues which they do not name',
      'result',
      dispatchResults,
    );
    this.#unmapped = metrics.counters(
      'lmqtt_rocketmq_unmapped_total',
      'Messages in RocketMQ topics that reach no device, or only some, by reason',
      'reason',
      [...unmappedReasons, ...unreadableReasons],
    );
    this.#arrived = metrics.counter(
      'lmqtt_rocketmq_arrived_total',
      'Messages that this node has read from RocketMQ and passed on to sessions',
    );
    this.#dropped = metrics.counter(
      'lmqtt_rocketmq_qos0_dropped_total',
      'QoS 0 messages that were not stored: too much waits, or the broker said no',
    );
    this.#paced = metrics.counter(
      'lmqtt_rocketmq_paced_total',
      'Times that a publisher was delayed because the reading of its RocketMQ queue is far behind',
    );
    this.#lost = metrics.counter(
      'lmqtt_rocketmq_messages_lost_total',
      'Messages that RocketMQ removed before they were read',
    );
  }

  /** Gauges of what the store keeps; called once. */
  watch(state: {
    pendingBytes(): number;
    lags(): Iterable<readonly [string, number]>;
    openIntents(): number;
    detours(): number;
    brokers(): Iterable<readonly [string, number]>;
    nameServers(): Iterable<readonly [string, number]>;
  }): void {
    const metrics = this.#metrics;
    metrics.gauge('lmqtt_rocketmq_pending_bytes', 'Bytes of messages that wait for a broker', () =>
      state.pendingBytes(),
    );
    metrics.gauges(
      'lmqtt_rocketmq_tail_lag_messages',
      'Messages of an ordinary queue that this node has yet to read',
      'queue',
      () => state.lags(),
    );
    metrics.gauge(
      'lmqtt_rocketmq_open_intents',
      'QoS 2 messages of which it is being found out whether RocketMQ has stored them',
      () => state.openIntents(),
    );
    metrics.gauge(
      'lmqtt_rocketmq_detoured_topics',
      'MQTT topics that were first published while the RocketMQ broker of their place was away, and are stored at another (DETOURED_TOPICS_MAX)',
      () => state.detours(),
    );
    metrics.gauges(
      'lmqtt_rocketmq_broker_up',
      '1 while the RocketMQ broker answers this node, else 0',
      'broker',
      () => state.brokers(),
    );
    metrics.gauges(
      'lmqtt_rocketmq_name_server_up',
      'Whether the name server answered this node when it was last asked; where none does, routes that are known are used',
      'address',
      () => state.nameServers(),
    );
  }

  appendFailed(why: AppendFailure, topic: string, detail: string): void {
    this.#failures[why] += 1;
    if (why === 'limit') this.#metrics.limits.PENDING_APPEND_BYTES_MAX += 1;
    this.#warn(`append ${why}`, { why, topic, detail }, 'message not stored by RocketMQ');
  }

  stored(ms: number): void {
    this.sends.stored += 1;
    this.#sendSeconds.record(ms / 1000);
  }

  qos0Dropped(): void {
    this.#dropped.value += 1;
  }

  storedLate(broker: string, code: number): void {
    this.#warn(`late ${broker}`, { broker, code }, 'RocketMQ stored a message, but flushed late');
  }

  paced(): void {
    this.#paced.value += 1;
  }

  busy(broker: string, code: number, remark: string): void {
    this.#warn(`busy ${broker}`, { broker, code, remark }, 'RocketMQ refuses messages');
  }

  outcomeSought(broker: string, reason: string): void {
    this.#warn(`sought ${broker}`, { broker, reason }, 'QoS 2: finding out what RocketMQ stored');
  }

  outcomesFound(broker: string, stored: number, notStored: number): void {
    this.#logs.store.info(
      { broker, stored, notStored },
      'search for QoS 2 messages in RocketMQ has ended',
    );
  }

  markRefused(broker: string, reason: string): void {
    this.#warn(
      `mark ${broker}`,
      { broker, reason },
      'the topic named like the broker cannot be used: QoS 2 after a failure leaves messages with tag LMQTT_MARK',
    );
  }

  arrived(messages: number): void {
    this.#arrived.value += messages;
  }

  read(pulls: number, messages: number): void {
    this.#reads.pulls += pulls;
    this.#reads.messages += messages;
  }

  notForDevices(messages: number): void {
    this.#reads['not for devices'] += messages;
  }

  /** `known`: another ds had sent it on. */
  dispatched(result: 'stored' | 'known'): void {
    this.#dispatches[result] += 1;
  }

  notDispatched(topic: string, reason: string): void {
    this.#dispatches.failed += 1;
    const text = 'a message of a back end cannot be sent on to queues that it does not name';
    this.#warn(`dispatch ${topic}`, { topic, reason }, text);
  }

  /** Told in the log, except where nobody has subscribed, and messages that are not for devices. */
  unmapped(why: Unmapped, stored: StoredMessage, broker: string): void {
    const { topic: rocketTopic, queueId, queueOffset, storedMs, tag = '', key = '' } = stored;
    const { topic } = stored.message;
    this.#unmapped[why] += 1;
    const mqttTopic = why === 'no topic' ? '' : topic;
    const place = { broker, queueId, queueOffset, storedMs };
    this.leftAlone.note(why, rocketTopic, 1, { ...place, key, tag, mqttTopic });
    if (why === 'no subscriber' || why === 'no topic') return;
    const text = 'a message of a back end reaches no devices, or not all';
    this.#warn(`unmapped ${why} ${rocketTopic}`, { why, rocketTopic, topic }, text);
  }

  lost(lmq: string, broker: string, messages: number): void {
    this.#lost.value += messages;
    this.#warn(`lost ${lmq}`, { lmq, broker, messages }, 'messages gone before they were read');
  }

  tail(event: 'taken' | 'released' | 'lost', queue: string, position: number): void {
    this.#tails[event] += 1;
    this.#logs.store.info({ queue, position }, `tail ${event}`);
  }

  /** The broker has lost what it had not flushed, or has removed what was not read. */
  tailMoved(event: 'moved back' | 'moved on', queue: string, from: number, to: number): void {
    this.#tails[event] += 1;
    this.#logs.store.error({ queue, from, to }, `tail ${event}: RocketMQ has other offsets`);
  }

  tailFailed(queue: string, reason: string): void {
    this.#warn(`tail ${queue}`, { queue, reason }, 'ordinary queue cannot be read');
  }

  unindexed(broker: string, messages: number): void {
    this.#tails.unindexed += messages;
    const text =
      'RocketMQ does not index light queues: set enableLmq=true, enableMultiDispatch=true';
    this.#error(`unindexed ${broker}`, { broker, messages }, text);
  }

  secondCopy(topic: string): void {
    this.#tails['second copy'] += 1;
    this.#logs.store.warn({ topic }, 'second copy of a QoS 2 message passed over');
  }

  /** The log has them by `unreadable`. */
  unreadableMessages(
    why: Unreadable,
    messages: number,
    broker: string,
    last: RefusedMessage | undefined,
  ): void {
    this.#unmapped[why] += messages;
    const { rocketTopic = '-' } = last ?? {};
    const place = last && { ...last, broker, mqttTopic: '' };
    this.leftAlone.note(why, rocketTopic, messages, place);
  }

  unreadable(broker: string, counts: object): void {
    this.#warn(`unreadable ${broker}`, { broker, ...counts }, 'messages that devices do not get');
  }

  placed(topic: string, placement: number, brokers: readonly string[]): void {
    this.#logs.store.info({ topic, placement, brokers }, 'RocketMQ topic placed');
  }

  brokerAway(broker: string, awayMs: number, isNamed: boolean): void {
    const fields = { broker, awayS: Math.round(awayMs / 1000), isNamed };
    this.#warn(awayKey(broker), fields, 'broker of RocketMQ is away');
  }

  brokerBack(broker: string): void {
    this.#lines.forget(awayKey(broker));
    this.#logs.store.info({ broker }, 'broker of RocketMQ answers again');
  }

  brokerForgotten(broker: string, partition: number): void {
    this.#lines.forget(awayKey(broker));
    const text = 'broker of RocketMQ forgotten: what was only there is lost to devices';
    this.#logs.store.warn({ broker, number: partition }, text);
  }

  brokersUnknown(reason: string): void {
    const text = 'the name servers do not say which brokers there are; known routes are used';
    this.#warn(brokersKey, { reason }, text);
  }

  brokersKnown(): void {
    this.#lines.forget(brokersKey);
    this.#logs.store.info('name servers answer again');
  }

  waiting(topic: string, reason: string): void {
    this.#warn('waiting', { topic, reason }, 'waiting for RocketMQ');
  }

  registryFailed(what: string, reason: string): void {
    this.#warn(
      `registry ${what}`,
      { what, reason },
      'what is shared with other ds nodes is not up to date',
    );
  }

  topicNotRead(topic: string, reason: string): void {
    this.#warn(`read ${topic}`, { topic, reason }, 'a topic of TAIL_TOPICS cannot be read');
  }

  topicNotCreated(topic: string, broker: string, reason: string): void {
    this.#warn(`create ${topic} ${broker}`, { topic, broker, reason }, 'topic not created');
  }

  #warn(key: string, fields: object, text: string): void {
    const unsaid = this.#lines.due(key);
    if (unsaid !== undefined) this.#logs.store.warn(withUnsaid(fields, unsaid), text);
  }

  #error(key: string, fields: object, text: string): void {
    const unsaid = this.#lines.due(key);
    if (unsaid !== undefined) this.#logs.store.error(withUnsaid(fields, unsaid), text);
  }
}

function withUnsaid(fields: object, unsaid: number): object {
  return unsaid === 0 ? fields : { ...fields, unsaid };
}

function awayKey(broker: string): string {
  return `away ${broker}`;
}
