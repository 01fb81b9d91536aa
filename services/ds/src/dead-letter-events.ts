import { systemClock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import { type DeadReason, deadReasons, type RetryEntry } from './retry-queue/retry-queue.ts';

const notKeptReasons = ['off', 'rate', 'gone', 'not stored', 'driven out'] as const;
const toldMs = 10_000;

/** Events of dead letters: a counter and a log line each. */
export class DeadLetterEvents {
  readonly #logs: Logs;
  readonly #kept: PlainCounters<DeadReason>;
  readonly #notKept: PlainCounters<(typeof notKeptReasons)[number]>;
  readonly #retries: PlainCounters<'published' | 'failed'>;
  readonly #replayed: PlainCounter;
  readonly #purged: PlainCounter;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(logs: Logs, metrics: Metrics) {
    this.#logs = logs;
    this.#kept = metrics.counters(
      'lmqtt_dead_letters_total',
      'Messages that became dead letters',
      'reason',
      deadReasons,
    );
    this.#notKept = metrics.counters(
      'lmqtt_dead_letters_not_kept_total',
      'Messages that could not be delivered and were not kept as dead letters, or not any longer',
      'why',
      notKeptReasons,
    );
    this.#retries = metrics.counters(
      'lmqtt_retries_total',
      'Messages of the retry queue that were published again, or could not be',
      'result',
      ['published', 'failed'],
    );
    this.#replayed = metrics.counter('lmqtt_dead_letters_replayed_total', 'Dead letters replayed');
    this.#purged = metrics.counter('lmqtt_dead_letters_purged_total', 'Dead letters purged');
  }

  kept(entries: readonly RetryEntry[]): void {
    for (const { reason } of entries) this.#kept[reason] += 1;
    const first = entries[0];
    if (first === undefined) return;
    const { clientId, filter, reason } = first;
    const { topic } = first.message;
    const count = entries.length;
    this.#logs.session.debug({ clientId, filter, topic, reason, count }, 'dead letters kept');
  }

  notKept(why: 'off' | 'rate' | 'gone', messages: number): void {
    this.#notKept[why] += messages;
    if (why === 'rate' && this.#mayTell())
      this.#logs.broker.warn('DEAD_LETTER_RATE is reached: messages are counted and not kept');
  }

  /** Dead letters went because of newer ones. */
  drivenOut(letters: number): void {
    this.#notKept['driven out'] += letters;
    if (this.#mayTell())
      this.#logs.broker.warn('dead letters are at their limit: the oldest are dropped');
  }

  notRead(clientId: string, error: unknown): void {
    this.#notKept['not stored'] += 1;
    if (this.#mayTell())
      this.#logs.broker.warn({ clientId, err: error }, 'a dead letter cannot be read');
  }

  notStored(messages: number, error: unknown): void {
    this.#notKept['not stored'] += messages;
    if (this.#mayTell())
      this.#logs.broker.warn({ messages, err: error }, 'dead letters cannot be stored');
  }

  retriesFailed(error: unknown): void {
    if (this.#mayTell()) this.#logs.broker.warn({ err: error }, 'the retry queue does not answer');
  }

  retried(reasonCode: number): void {
    this.#retries[reasonCode < 0x80 ? 'published' : 'failed'] += 1;
  }

  replayed(letters: number): void {
    this.#replayed.value += letters;
    this.#logs.broker.info({ letters }, 'operator replays dead letters');
  }

  purged(letters: number): void {
    this.#purged.value += letters;
    this.#logs.broker.info({ letters }, 'operator purges dead letters');
  }

  /** Whatever happens to many messages at once, there is a line now and then. */
  #mayTell(): boolean {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - this.#toldAtMs < toldMs) return false;
    this.#toldAtMs = nowMs;
    return true;
  }
}
