import type { Logger } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import type { DsAddress } from './directory.ts';
import { addressText } from './directory.ts';
import type { StreamEnd } from './ds-stream.ts';

/** Sources of the link's figures. */
export interface LinkFigures {
  readonly up: boolean;
  readonly waitingBytes: number;
  readonly unacknowledgedFrames: number;
  readonly unansweredPublishes: number;
  readonly unansweredCalls: number;
}

const dropReasons = ['link down', 'link behind'] as const;
type DropReason = (typeof dropReasons)[number];

/** Counters of all streams of a node, to one ds or to several. */
export class LinkCounters {
  readonly metrics: Metrics;
  readonly streams: PlainCounters<'attached' | 'resumed' | 'broken' | 'refused'>;
  readonly leasesEnded: PlainCounter;
  readonly dropped: PlainCounters<DropReason>;
  readonly pushed: PlainCounter;

  constructor(metrics: Metrics) {
    this.metrics = metrics;
    this.streams = metrics.counters(
      'lmqtt_link_streams_total',
      'Streams to ds, by event',
      'event',
      ['attached', 'resumed', 'broken', 'refused'],
    );
    this.leasesEnded = metrics.counter(
      'lmqtt_link_leases_ended_total',
      'Leases of this connection node that ran out',
    );
    this.pushed = metrics.counter(
      'lmqtt_link_pushed_total',
      'Messages that ds pushed to this node, each once however many sessions want it',
    );
    this.dropped = metrics.counters(
      'lmqtt_link_dropped_total',
      'QoS 0 publishes that did not go to ds, by reason',
      'reason',
      dropReasons,
    );
  }
}

/** Events of the link: a counter and a log line each. */
export class LinkEvents {
  protected readonly log: Logger;
  readonly #counters: LinkCounters;
  /** The last logged failure of a stream to open. */
  #failure = '';

  constructor(log: Logger, counters: LinkCounters) {
    this.log = log;
    this.#counters = counters;
  }

  watch(link: LinkFigures): void {
    const { metrics } = this.#counters;
    metrics.gauge('lmqtt_link_up', 'Whether calls reach ds', () => (link.up ? 1 : 0));
    metrics.gauge(
      'lmqtt_link_waiting_bytes',
      'Bytes that wait for the link',
      () => link.waitingBytes,
    );
    metrics.gauge(
      'lmqtt_link_unacknowledged_frames',
      'Frames sent to ds and not acknowledged yet',
      () => link.unacknowledgedFrames,
    );
    metrics.gauge(
      'lmqtt_link_unanswered_calls',
      'Calls and reads that ds has not answered',
      () => link.unansweredCalls,
    );
    metrics.gauge(
      'lmqtt_link_unanswered_publishes',
      'QoS 1 and 2 publishes that ds has not answered',
      () => link.unansweredPublishes,
    );
  }

  presenting(address: DsAddress, sessions: number): void {
    this.#failure = '';
    this.log.info({ ds: addressText(address), sessions }, 'presenting to ds');
  }

  attached(sessions: number, refused: number): void {
    this.#counters.streams.attached += 1;
    this.#failure = '';
    const level = refused > 0 ? 'warn' : 'info';
    this.log[level]({ sessions, refused }, 'attached to ds');
  }

  resumed(address: DsAddress): void {
    this.#counters.streams.resumed += 1;
    this.#failure = '';
    this.log.info({ ds: addressText(address) }, 'stream to ds taken up again');
  }

  /** An open stream. */
  broken({ reason }: StreamEnd): void {
    this.#counters.streams.broken += 1;
    this.log.warn({ reason }, 'stream to ds broken');
  }

  /** One that did not come about: logged once for each change of the reason. */
  failed({ refusal, reason }: StreamEnd): void {
    this.#counters.streams[refusal === undefined ? 'broken' : 'refused'] += 1;
    const failure = `${refusal ?? ''} ${withoutTime(reason)}`;
    if (failure === this.#failure) return;
    this.#failure = failure;
    if (refusal === undefined) this.log.warn({ reason }, 'ds cannot be reached');
    else this.log.error({ refusal, reason }, 'refused by ds');
  }

  pushed(messages: number): void {
    this.#counters.pushed.value += messages;
  }

  leaseEnded(): void {
    this.#counters.leasesEnded.value += 1;
    this.log.warn('lease ended: nothing is sent to clients until ds answers');
  }

  leaseBegan(): void {
    this.log.info('lease holds');
  }

  qos0Dropped(reason: DropReason, count: number): void {
    this.#counters.dropped[reason] += count;
    if (reason === 'link behind') this.#counters.metrics.limits.LINK_BUFFER_BYTES_MAX += 1;
  }
}

/** gRPC's reasons may end with the time. */
function withoutTime(reason: string): string {
  return reason.replace(/\(\d{4}-\d\d-\d\dT[^)]*\)/g, '');
}
