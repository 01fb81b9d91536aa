import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import type { JavaConfig } from './kv-config.ts';

const toldResults = ['told', 'failed', 'dropped', 'retried'] as const;
const askedKinds = ['messages', 'close', 'unknown', 'garbage', 'stranger'] as const;

interface JavaFigures {
  readonly nodes: () => number;
  readonly firstTopics: () => number;
  readonly written: () => number;
}

/** Business events of the life beside Java nodes: a counter and a log line each. */
export class JavaNodeEvents {
  /** Events to Java nodes, by what became of them. */
  readonly told: PlainCounters<(typeof toldResults)[number]>;
  /** Requests of Java nodes, by kind. */
  readonly asked: PlainCounters<(typeof askedKinds)[number]>;
  readonly #logs: Logs;
  readonly #metrics: Metrics;
  readonly #lines: RepeatedLines;
  readonly #left: PlainCounter;
  readonly #failures: PlainCounter;

  constructor(logs: Logs, metrics: Metrics, clock: Clock) {
    this.#logs = logs;
    this.#metrics = metrics;
    this.#lines = new RepeatedLines(clock);
    this.told = metrics.counters(
      'lmqtt_java_events_sent_total',
      'Events for Java nodes about messages of this cluster, by result',
      'result',
      toldResults,
    );
    this.asked = metrics.counters(
      'lmqtt_java_requests_total',
      'Requests at JAVA_RPC_PORT, by kind',
      'kind',
      askedKinds,
    );
    this.#left = metrics.counter(
      'lmqtt_java_names_left_out_total',
      'Light queues of Java nodes for which a topic has no room in its messages',
    );
    this.#failures = metrics.counter(
      'lmqtt_java_config_failures_total',
      'Times that the KV configuration of the name servers could not be read or written',
    );
  }

  watch({ nodes, firstTopics, written }: JavaFigures): void {
    const metrics = this.#metrics;
    metrics.gauge('lmqtt_java_nodes', 'Java nodes in LMQ_CONNECT_NODES', nodes);
    metrics.gauge('lmqtt_java_first_topics', 'RocketMQ topics in ALL_FIRST_TOPICS', firstTopics);
    metrics.gauge(
      'lmqtt_java_filters_written',
      'Filters of sessions that this ds keeps in the KV configuration for Java nodes',
      written,
    );
  }

  /** undefined: there are none now. */
  configured(config: JavaConfig | undefined): void {
    if (config === undefined) {
      this.#logs.broker.info('no Java nodes are there');
      return;
    }
    const { nodes, firstTopics } = config;
    this.#logs.broker.info({ nodes, firstTopics }, 'Java nodes are taken to be there');
  }

  retryTopicsListed(topics: readonly string[]): void {
    this.#logs.broker.warn(
      { topics },
      'retry topics stand in ALL_FIRST_TOPICS and are ignored there: Java nodes would send events for ever',
    );
  }

  tooManyFilters(firstTopic: string, filters: number): void {
    if (this.#lines.due(`filters ${firstTopic}`) === undefined) return;
    this.#logs.broker.warn(
      { firstTopic, filters },
      'filters are not told to Java nodes: JAVA_FILTERS_MAX is reached',
    );
  }

  namesLeftOut(names: number): void {
    this.#left.value += names;
  }

  failed(error: unknown): void {
    this.#failures.value += 1;
    const unsaid = this.#lines.due('config');
    if (unsaid === undefined) return;
    this.#logs.broker.warn(
      { err: error, unsaid },
      'the KV configuration of the name servers cannot be read or written',
    );
  }

  nodeAway(node: string, reason: string): void {
    const unsaid = this.#lines.due(`node ${node}`);
    if (unsaid === undefined) return;
    this.#logs.broker.warn({ node, reason, unsaid }, 'a Java node does not take events');
  }

  notRetried(topic: string, error: unknown): void {
    const unsaid = this.#lines.due('retries');
    if (unsaid === undefined) return;
    this.#logs.broker.warn(
      { topic, err: error, unsaid },
      'events that a Java node does not take cannot be stored in EVENT_NOTIFY_RETRY_TOPIC',
    );
  }

  notListening(port: number, reason: string): void {
    const unsaid = this.#lines.due('listen');
    if (unsaid === undefined) return;
    this.#logs.broker.warn({ port, reason, unsaid }, 'JAVA_RPC_PORT cannot be listened on');
  }

  listening(port: number): void {
    this.#lines.forget('listen');
    this.#logs.broker.info({ port }, 'events of Java nodes are taken');
  }
}
