import type { Logs } from '@lmqtt/common/log';
import { latencyBoundsS, type Metrics, type PlainCounter } from '@lmqtt/common/metrics';
import type { JournalEvent } from './journal/journal.ts';

/** Differences of clocks that are not worth a line. */
const clockNoiseS = 5;

/** Events of the log of the standalone broker: metrics and log lines. */
export class JournalEvents {
  readonly #logs: Logs;
  readonly #written: ReturnType<Metrics['histogram']>;
  readonly #journalBytes: PlainCounter;
  readonly #journalRecords: PlainCounter;

  constructor(logs: Logs, metrics: Metrics) {
    this.#logs = logs;
    this.#written = metrics.histogram(
      'lmqtt_store_commit_seconds',
      'Time of a durable write to the log, in seconds',
      latencyBoundsS,
    );
    this.#journalBytes = metrics.counter(
      'lmqtt_store_written_bytes_total',
      'Bytes written to the log',
    );
    this.#journalRecords = metrics.counter(
      'lmqtt_store_records_total',
      'Records written to the log',
    );
  }

  take(event: JournalEvent): void {
    if (event.kind === 'written') {
      this.#written.record(event.us / 1e6);
      this.#journalBytes.value += event.bytes;
      this.#journalRecords.value += event.records;
      return;
    }
    const { kind, ...rest } = event;
    if (event.kind === 'opened' && event.sinceLastBlockS < -clockNoiseS) {
      const behindS = -event.sinceLastBlockS;
      this.#logs.store.warn({ behindS }, 'the wall clock is behind the last block of the log');
    }
    const level = kind === 'failed' || kind === 'checkpoint failed' ? 'error' : levels[kind];
    const fields = 'failure' in rest ? { err: rest.failure } : rest;
    this.#logs.store[level](fields, texts[kind] ?? `log ${kind}`);
  }
}

/** Texts of events whose kind alone does not tell what happened. */
const texts: Partial<Record<JournalEvent['kind'], string>> = {
  'opened again':
    'the last run died while it was opening state/data.mdb; the file has been checked and is whole',
};

const levels = {
  opened: 'info',
  'opened again': 'warn',
  repaired: 'warn',
  recovered: 'warn',
  sealed: 'debug',
  checkpoint: 'debug',
} as const;
