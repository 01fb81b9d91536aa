import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import { StoreFailure } from '@lmqtt/common/store-failure';

/** Why a peer was turned away. */
const refusalReasons = [
  'no http2',
  'silent',
  'tls',
  'too many waiting',
  'no exchange',
  'metadata',
  'secret',
  'protocol version',
  'node id in use',
] as const;

export type RefusalReason = (typeof refusalReasons)[number];

/** Figures that are read when metrics are asked for. */
interface RpcFigures {
  readonly attachments: number;
  readonly waitingBytes: number;
  readonly unacknowledgedFrames: number;
}

/** A peer that tries again and again is one line a second. */
const lineEachMs = 1000;

/** Business events of the RPC server: a counter and a log line each. */
export class RpcEvents {
  readonly #logs: Logs;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #refused: PlainCounters<RefusalReason>;
  readonly #lines = new Map<RefusalReason, { atMs: number; unsaid: number }>();
  readonly #frames: PlainCounters<'received' | 'sent'>;
  readonly #bytes: PlainCounters<'received' | 'sent'>;
  readonly #streams: PlainCounters<'new' | 'resumed' | 'broken'>;
  readonly #dropped: PlainCounters<'stored' | 'not stored'>;
  readonly #failedCalls: PlainCounter;
  readonly #awayLines: RepeatedLines;
  readonly #notRenewed: PlainCounter;
  #notRenewedLineMs = -Infinity;

  constructor(logs: Logs, metrics: Metrics, clock: Clock) {
    this.#logs = logs;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#awayLines = new RepeatedLines(clock);
    this.#refused = metrics.counters(
      'lmqtt_rpc_refused_total',
      'Peers that were turned away at the RPC port',
      'reason',
      refusalReasons,
    );
    const ways = ['received', 'sent'] as const;
    this.#frames = metrics.counters(
      'lmqtt_rpc_frames_total',
      'Frames exchanged with connection nodes, by direction',
      'way',
      ways,
    );
    this.#bytes = metrics.counters(
      'lmqtt_rpc_frame_bytes_total',
      'Bytes of frames exchanged with connection nodes, by direction',
      'way',
      ways,
    );
    this.#streams = metrics.counters('lmqtt_rpc_streams_total', 'Streams of cs nodes', 'event', [
      'new',
      'resumed',
      'broken',
    ]);
    this.#dropped = metrics.counters(
      'lmqtt_rpc_pushes_dropped_total',
      'Messages that were not pushed because a node is slow; those that are stored are read later',
      'kind',
      ['stored', 'not stored'],
    );
    this.#notRenewed = metrics.counter(
      'lmqtt_rpc_renewals_failed_total',
      'Renewals of cs nodes that the registry did not answer',
    );
    this.#failedCalls = metrics.counter(
      'lmqtt_rpc_calls_failed_total',
      'Calls of connection nodes that failed',
    );
  }

  watch(figures: RpcFigures): void {
    this.#metrics.gauge(
      'lmqtt_rpc_attachments',
      'Connection nodes that are attached to this ds',
      () => {
        return figures.attachments;
      },
    );
    this.#metrics.gauge('lmqtt_rpc_waiting_bytes', 'Bytes that wait for the link', () => {
      return figures.waitingBytes;
    });
    this.#metrics.gauge(
      'lmqtt_rpc_unacknowledged_frames',
      'Frames sent to cs nodes and not acknowledged yet',
      () => figures.unacknowledgedFrames,
    );
  }

  frameReceived(bytes: number): void {
    this.#frames.received += 1;
    this.#bytes.received += bytes;
  }

  frameSent(bytes: number): void {
    this.#frames.sent += 1;
    this.#bytes.sent += bytes;
  }

  listening(address: string, port: number, tls: boolean): void {
    this.#logs.listener.info({ address, port, tls }, 'waiting for cs nodes');
  }

  listenerFailed(error: unknown): void {
    this.#logs.listener.error({ err: error }, 'RPC port fails');
  }

  certificatesRead(): void {
    this.#logs.listener.info('certificates of the RPC port read');
  }

  certificatesRefused(reason: string): void {
    this.#logs.listener.error(
      { reason },
      'certificates of the RPC port not read; the previous ones stay in force',
    );
  }

  refused(reason: RefusalReason, address: string, detail: string): void {
    this.#refused[reason] += 1;
    const nowMs = this.#clock.monotonicMs();
    const line = this.#lines.get(reason);
    if (line !== undefined && nowMs - line.atMs < lineEachMs) {
      line.unsaid += 1;
      return;
    }
    this.#lines.set(reason, { atMs: nowMs, unsaid: 0 });
    const more = line === undefined || line.unsaid === 0 ? {} : { unsaid: line.unsaid };
    this.#logs.listener.warn({ address, reason, ...more }, `refused: ${detail}`);
  }

  streamOpened(node: string, address: string, resumed: boolean): void {
    this.#streams[resumed ? 'resumed' : 'new'] += 1;
    this.#logs.broker.info({ node, address }, resumed ? 'stream resumed' : 'stream opened');
  }

  streamBroken(node: string, address: string, why: string): void {
    this.#streams.broken += 1;
    this.#logs.broker.warn({ node, address }, `stream broken: ${why}`);
  }

  notAttached(node: string, address: string, error: unknown): void {
    this.#logs.broker.error({ node, address, err: error }, 'node not attached');
  }

  pushesDropped(stored: number, notStored: number): void {
    this.#metrics.limits.LINK_BUFFER_BYTES_MAX += 1;
    this.#dropped.stored += stored;
    this.#dropped['not stored'] += notStored;
  }

  fallsBehind(node: string, waitingBytes: number): void {
    this.#logs.broker.warn({ node, waitingBytes }, 'node is slow: pushes are dropped');
  }

  catchesUp(node: string, queues: number): void {
    this.#logs.broker.info({ node, queues }, 'node has room again: it reads what was dropped');
  }

  /** Told now and then, while it lasts. */
  notRenewed(node: string, error: unknown): void {
    this.#notRenewed.value += 1;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#notRenewedLineMs < lineEachMs) return;
    this.#notRenewedLineMs = nowMs;
    this.#logs.broker.warn({ node, err: error }, 'lease of a node not renewed: no answer');
  }

  callFailed(node: string, error: unknown): void {
    this.#failedCalls.value += 1;
    if (error instanceof StoreFailure) {
      // Each session that reads asks again and again while the store is away.
      const unsaid = this.#awayLines.due(`${node} ${error.message}`);
      if (unsaid === undefined) return;
      const fields = { node, reason: error.message, ...(unsaid === 0 ? {} : { unsaid }) };
      this.#logs.broker.warn(fields, 'call of a cs node failed: the store is away');
      return;
    }
    this.#logs.broker.error({ node, err: error }, 'call of a cs node failed');
  }

  unexpected(node: string, error: unknown): void {
    this.#logs.broker.error({ node, err: error }, 'unexpected failure; its attachment ends');
  }
}
