import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';

import type { RemotingEvents } from './events.ts';

const connectionEvents = ['connected', 'lost', 'not connected', 'garbage'] as const;
const failures = ['timed out', 'timed out unwritten', 'too many outstanding'] as const;

/** Events of connections to RocketMQ: a counter and a log line each. */
export class RecordedRemotingEvents implements RemotingEvents {
  readonly #logs: Logs;
  readonly #connections: PlainCounters<(typeof connectionEvents)[number]>;
  readonly #failures: PlainCounters<(typeof failures)[number]>;
  readonly #answeredLate: PlainCounter;
  readonly #requests: PlainCounter;
  readonly #writes: PlainCounter;
  readonly #bytes: PlainCounters<'received' | 'sent'>;
  readonly #lines: RepeatedLines;

  constructor(logs: Logs, metrics: Metrics, clock: Clock) {
    this.#logs = logs;
    this.#lines = new RepeatedLines(clock);
    this.#connections = metrics.counters(
      'lmqtt_rocketmq_connections_total',
      'Connections to name servers and brokers',
      'event',
      connectionEvents,
    );
    this.#failures = metrics.counters(
      'lmqtt_rocketmq_requests_failed_total',
      'Requests to RocketMQ without an answer',
      'reason',
      failures,
    );
    this.#answeredLate = metrics.counter(
      'lmqtt_rocketmq_answers_late_total',
      'Answers of RocketMQ that nobody waited for any more',
    );
    this.#requests = metrics.counter('lmqtt_rocketmq_requests_total', 'Requests to RocketMQ');
    this.#writes = metrics.counter(
      'lmqtt_rocketmq_writes_total',
      'Socket writes to RocketMQ; one carries what was asked for in one turn of the event loop',
    );
    this.#bytes = metrics.counters(
      'lmqtt_rocketmq_bytes_total',
      'Bytes exchanged with RocketMQ, by direction',
      'way',
      ['received', 'sent'],
    );
  }

  connected(address: string): void {
    this.#connections.connected += 1;
    this.#lines.forget(`not connected ${address}`);
    this.#logs.store.info({ address }, 'connected to RocketMQ');
  }

  lost(address: string, reason: string): void {
    this.#connections.lost += 1;
    this.#logs.store.warn({ address, reason }, 'connection to RocketMQ lost');
  }

  notConnected(address: string, reason: string): void {
    this.#connections['not connected'] += 1;
    this.#warn('not connected', address, { reason }, 'RocketMQ cannot be connected to');
  }

  garbage(address: string, reason: string): void {
    this.#connections.garbage += 1;
    this.#warn('garbage', address, { reason }, 'what answers here is not RocketMQ');
  }

  timedOut(address: string, request: string, written: boolean): void {
    this.#failures[written ? 'timed out' : 'timed out unwritten'] += 1;
    this.#warn('timed out', address, { request, written }, 'request to RocketMQ timed out');
  }

  answeredLate(address: string): void {
    this.#answeredLate.value += 1;
    this.#logs.store.debug({ address }, 'late answer of RocketMQ');
  }

  tooManyOutstanding(address: string, request: string): void {
    this.#failures['too many outstanding'] += 1;
    this.#warn('too many', address, { request }, 'too many requests to RocketMQ outstanding');
  }

  written(requests: number, bytes: number): void {
    this.#requests.value += requests;
    this.#writes.value += 1;
    this.#bytes.sent += bytes;
  }

  received(bytes: number): void {
    this.#bytes.received += bytes;
  }

  #warn(kind: string, address: string, fields: object, text: string): void {
    const unsaid = this.#lines.due(`${kind} ${address}`);
    if (unsaid === undefined) return;
    const more = unsaid === 0 ? {} : { unsaid };
    this.#logs.store.warn({ address, ...fields, ...more }, text);
  }
}
