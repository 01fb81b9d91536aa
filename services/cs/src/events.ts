import { systemClock } from '@lmqtt/common/clock';
import type { Logger } from '@lmqtt/common/log';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import type { LimitName } from '@lmqtt/common/settings/row';
import type { Metrics } from '@lmqtt/common/metrics';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ConnectionEnd } from '@lmqtt/proto/link';
import type { Counters } from './counters.ts';
import type { SessionEvents } from './session/session-events.ts';
import type { TransportEvent } from './transport/transport.ts';

const unavailableEveryMs = 1000;

/** The client that an event is about. */
export interface Who {
  readonly clientId: string;
  /** Protocol level; 0: not known yet. */
  readonly version: number;
  readonly stream: {
    readonly peer: { readonly address: string; readonly listener?: string | undefined };
  };
  /** The CONNECT, until it is answered. */
  readonly connectPacket?: { readonly userName: string | undefined } | undefined;
  /** Verified identity, as ds gave it with the answer; '': anonymous. */
  readonly principal: string;
}

/** Levels of events that an operator should notice; the rest is `info`. */
const levels: Partial<Record<TransportEvent['kind'], 'warn' | 'error'>> = {
  'origin-refused': 'warn',
  'certificates-refused': 'error',
};

/** Events of connections and their sessions: each is one counter and one log line. */
export class CsEvents implements SessionEvents {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #counters: Counters;
  readonly #refusals: Record<string, number> = {};
  readonly #ends: Record<string, number> = {};
  readonly #transportEvents: Record<TransportEvent['kind'], number> = {
    'accept-failed': 0,
    'handshake-failed': 0,
    'origin-refused': 0,
    'certificates-read': 0,
    'certificates-refused': 0,
  };

  readonly #leaseEvents: Record<'ended' | 'renewed' | 'given_up' | 'presented', number> = {
    ended: 0,
    renewed: 0,
    given_up: 0,
    presented: 0,
  };

  readonly #dsWaits: Record<'no_ds' | 'claim_lost', number> = { no_ds: 0, claim_lost: 0 };
  readonly #lines: RepeatedLines = new RepeatedLines(systemClock);
  #unavailableToldMs = -Infinity;
  #dsWaitToldMs = -Infinity;

  constructor(log: Logger, metrics: Metrics, counters: Counters) {
    this.#log = log;
    this.#metrics = metrics;
    this.#counters = counters;
    const entries = (record: Record<string, number>) => () => Object.entries(record);
    metrics.countersOf(
      'lmqtt_connect_refused_total',
      'CONNECTs refused, by reason code',
      'reason_code',
      entries(this.#refusals),
    );
    metrics.countersOf(
      'lmqtt_connection_ended_total',
      'Connections that ended, by reason',
      'reason',
      entries(this.#ends),
    );
    metrics.countersOf(
      'lmqtt_transport_events_total',
      'Events before there was an MQTT connection (handshakes, refused sockets), by kind',
      'kind',
      entries(this.#transportEvents),
    );
    metrics.countersOf(
      'lmqtt_lease_events_total',
      'Events of the lease of this connection node, by kind',
      'kind',
      entries(this.#leaseEvents),
    );
    metrics.countersOf(
      'lmqtt_connects_without_ds_total',
      'CONNECTs that had to wait for a dispatch node: none could be asked, or the claim was lost',
      'reason',
      entries(this.#dsWaits),
    );
  }

  /** A limit was reached; the client is told by whoever calls. */
  limit(name: LimitName): void {
    this.#metrics.limits[name] += 1;
  }

  /** A publish past a rate of its client or user; one line at a time says it for all of them. */
  pastRate(connection: Who, limit: LimitName, answer: 'wait' | 'refuse' | 'disconnect'): void {
    this.limit(limit);
    const unsaid = this.#lines.due(limit);
    if (unsaid === undefined) return;
    const { clientId } = connection;
    const { address } = connection.stream.peer;
    const user = verifiedName(connection.principal);
    this.#log.warn({ clientId, user, address, limit, answer, unsaid }, 'publishes past their rate');
  }

  connected(connection: Who, sessionPresent: boolean): void {
    const { clientId, version, stream } = connection;
    const { address, listener } = stream.peer;
    const user = verifiedName(connection.principal);
    this.#log.info(
      { clientId, user, version, address, listener, sessionPresent },
      'client connected',
    );
  }

  refused(connection: Who, reasonCode: number, reason: string): void {
    const code = `0x${reasonCode.toString(16)}`;
    this.#refusals[code] = (this.#refusals[code] ?? 0) + 1;
    if (reasonCode === ReasonCode.serverUnavailable && !this.#mayTellUnavailable()) return;
    const { clientId, stream } = connection;
    const { address, listener } = stream.peer;
    // A client that is one too many may come again and again.
    const key = quotaReasons.has(reason) ? reason : undefined;
    const unsaid = key === undefined ? 0 : this.#lines.due(key);
    if (unsaid === undefined) return;
    const more = unsaid === 0 ? {} : { unsaid };
    // The user name is the one that the client gave; nobody has verified it.
    const user = connection.connectPacket?.userName?.slice(0, nameMax);
    this.#log.warn(
      { clientId, user, address, listener, reasonCode, reason, ...more },
      'connection refused',
    );
  }

  /** While ds is away every client tries again and again: one line a second says it. */
  #mayTellUnavailable(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#unavailableToldMs < unavailableEveryMs) return false;
    this.#unavailableToldMs = nowMs;
    return true;
  }

  /** A CONNECT has come while no ds can be asked. */
  waitsForDs(): void {
    this.#dsWaits.no_ds += 1;
    const nowMs = performance.now();
    if (nowMs - this.#dsWaitToldMs < unavailableEveryMs) return;
    this.#dsWaitToldMs = nowMs;
    this.#log.warn('no dispatch node can be asked: CONNECTs wait');
  }

  /** A CONNECT that was at ds is asked again of the next one. */
  claimLost(): void {
    this.#dsWaits.claim_lost += 1;
  }

  failed(connection: Who, reasonCode: number, reason: string): void {
    const { clientId, stream } = connection;
    const { address } = stream.peer;
    this.#log.warn({ clientId, address, reasonCode, reason }, 'connection closed by a fault');
  }

  timedOut(connection: Who, reason: string): void {
    const { address } = connection.stream.peer;
    this.#log.warn({ address, reason }, 'connection timed out');
  }

  ended(connection: Who, end: ConnectionEnd): void {
    const reason = knownEnds.has(end.reason) ? end.reason : 'fault';
    this.#ends[reason] = (this.#ends[reason] ?? 0) + 1;
    const { clientId } = connection;
    this.#log.info({ clientId, reason: end.reason }, 'client disconnected');
  }

  transport(listener: string, event: TransportEvent): void {
    this.#transportEvents[event.kind] += 1;
    const level = levels[event.kind] ?? 'info';
    this.#log[level]({ listener, ...event }, 'transport');
  }

  linkFailed(connection: Who, error: unknown): void {
    const { clientId } = connection;
    this.#log.error({ clientId, err: error }, 'call to ds failed');
  }

  /** The lease ended: nothing leaves to clients until it is renewed. */
  frozen(connections: number): void {
    this.#leaseEvents.ended += 1;
    this.#log.warn({ connections }, 'lease ended: clients wait');
  }

  thawed(connections: number): void {
    this.#leaseEvents.renewed += 1;
    this.#log.info({ connections }, 'lease renewed: clients go on');
  }

  /** Without a lease for longer than clients are kept. */
  dsLost(connections: number): void {
    this.limit('DS_LOST_MS');
    this.#leaseEvents.given_up += 1;
    this.#log.error({ connections }, 'no lease for too long: connections closed');
  }

  presented(sessions: number, refused: number): void {
    this.#leaseEvents.presented += 1;
    this.#log.info({ sessions, refused }, 'sessions go on with another ds');
  }

  /** An operator drains the node: its clients are sent away. */
  drains(connections: number): void {
    this.#log.info({ connections }, 'this node drains: clients are sent away');
  }

  drainTakenBack(): void {
    this.#log.info('this node takes clients again');
  }

  /** A stop that ds did not hear of: it finds out when the lease ends. */
  notHandedBack(error: unknown): void {
    this.#log.warn({ err: error }, 'stopped without an answer of ds');
  }

  expired(): void {
    this.#counters.dropped.expired += 1;
  }

  tooLarge(): void {
    this.#counters.dropped.too_large += 1;
  }

  droppedSlow(): void {
    this.#counters.dropped.slow_client += 1;
    this.#metrics.limits.WRITE_BUFFER_MAX += 1;
  }

  windowFull(): void {
    this.#metrics.limits.MAX_INFLIGHT += 1;
  }

  refusedByClient(): void {
    this.#counters.dropped.refused_by_client += 1;
  }

  /** Too many that were not delivered wait for ds to keep them. */
  notTold(): void {
    this.#counters.dropped.not_told += 1;
  }

  lost(): void {
    this.#counters.dropped.lost += 1;
  }

  notAuthorized(): void {
    this.#counters.dropped.not_authorized += 1;
  }
}

export const tooManyOfAddress = 'too many connections from its address';
export const tooManyOfUser = 'too many connections of its user';
const quotaReasons: ReadonlySet<string> = new Set([tooManyOfAddress, tooManyOfUser]);

const nameMax = 256;

function verifiedName(principal: string): string | undefined {
  if (principal === '') return undefined;
  return (JSON.parse(principal) as { readonly user?: string }).user?.slice(0, nameMax);
}

const knownEnds = new Set([
  'client',
  'connection lost',
  'keep alive timeout',
  'write timeout',
  'taken over',
  'server shutting down',
  'this node drains',
  'dispatch node lost',
  'administrative action',
]);
