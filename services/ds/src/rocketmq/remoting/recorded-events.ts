import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';

import type { RemotingEvents } from './events.ts';

const connectionEvents = ['connected', 'lost', 'not connected', 'garbage'] as const;
const failures = ['timed out', 'timed out unwritten', 'too many outstanding'] as const;

/** What happens again and again is one line in this time for each peer. */
const lineEachMs = 5000;

/** Events of connections to RocketMQ: a counter and a log line each. */
export class RecordedRemotingEvents implements RemotingEvents {
  readonly #logs: Logs;
  readonly #clock: Clock;
  readonly #connections: PlainCounters<(typeof connectionEvents)[number]>;
  readonly #failures: PlainCounters<(typeof failures)[number]>;
  readonly #answeredLate: PlainCounter;
  readonly #requests: PlainCounter;
  readonly #writes: PlainCounter;
  readonly #bytes: PlainCounters<'received' | 'sent'>;
  readonly #lines = new Map<string, { atMs: number; unsaid: number }>();

  constructor(logs: Logs, metrics: Metrics, clock: Clock) {
    this.#logs = logs;
    this.#clock = clock;
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
      'Bytes between this node and RocketMQ',
      'way',
      ['received', 'sent'],
    );
  }

  connected(address: string): void {
    this.#connections.connected += 1;
    this.#lines.delete(`not connected ${address}`);
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
    const key = `${kind} ${address}`;
    const nowMs = this.#clock.monotonicMs();
    const line = this.#lines.get(key);
    if (line !== undefined && nowMs - line.atMs < lineEachMs) {
      line.unsaid += 1;
      return;
    }
    this.#lines.set(key, { atMs: nowMs, unsaid: 0 });
    const more = line === undefined || line.unsaid === 0 ? {} : { unsaid: line.unsaid };
    this.#logs.store.warn({ address, ...fields, ...more }, text);
  }
}
