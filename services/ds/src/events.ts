import { ReasonCode } from '@lmqtt/common/reason-code';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import { ClientHistory } from './client-history.ts';
import { systemClock } from '@lmqtt/common/clock';
import type { ClientId, QueueId } from '@lmqtt/common/ids';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounter, PlainCounters } from '@lmqtt/common/metrics';
import type { LimitName } from '@lmqtt/common/settings/row';
import type { ConnectRequest } from '@lmqtt/proto/link';
import type { FileOutcome } from './auth/reloaded-file.ts';
import { BanEvents } from './ban-events.ts';
import { DeadLetterEvents } from './dead-letter-events.ts';
import { DenialLines } from './denial-lines.ts';
import { JournalEvents } from './journal-events.ts';
import type { LiveSession } from './sessions/live-session.ts';
import type { ClientHooks } from './hooks/client-hooks.ts';
import type { PresenceListener } from './presence-listener.ts';
import type { StoredSubscription } from './session-store/stored-session.ts';
import type { StoredGroup } from './group-store/group-store.ts';
import type { ClaimRefused } from './session-store/session-store.ts';

const damageToldMs = 10_000;

const dropReasons = [
  'not authorized',
  'not stored',
  'delivery refused',
  'queue limit',
  'retention',
  'damaged',
  'group member lost',
  'will not sent',
  'presence',
  'hook',
] as const;

interface GatheredFigures {
  readonly nodes: number;
  readonly sessions: number;
  readonly refused: number;
  /** Nodes that have not come back. */
  readonly gone: readonly string[];
  readonly ms: number;
}

type DropReason = (typeof dropReasons)[number];

/** Business events of ds: a counter and a log line each, so that the two cannot drift apart. */
export class DsEvents {
  /** The last events of each client. */
  readonly history: ClientHistory;
  readonly bans: BanEvents;
  readonly deadLetters: DeadLetterEvents;
  readonly log: JournalEvents;
  /** Where events of clients are published, too. */
  presence: PresenceListener | undefined = undefined;
  /** Hooks of the operator's that hear of clients. */
  hooks: ClientHooks | undefined = undefined;
  readonly #logs: Logs;
  readonly #metrics: Metrics;
  readonly #dropped: PlainCounters<DropReason>;
  readonly #connects: PlainCounters<'new' | 'continued' | 'refused'>;
  readonly #otherUsers: PlainCounters<'replaced' | 'refused'>;
  readonly #kicked: PlainCounter;
  readonly #subscribes: PlainCounter;
  readonly #unsubscribes: PlainCounter;
  readonly #wills: PlainCounter;
  readonly #delayed: PlainCounter;
  readonly #expired: PlainCounter;
  readonly #cameBack: PlainCounter;
  readonly #denials = new DenialLines(systemClock.monotonicMs());
  readonly #damagedBlocks: PlainCounter;
  readonly #moduleLines = new RepeatedLines(systemClock);
  #damageToldAtMs = Number.NEGATIVE_INFINITY;

  constructor(logs: Logs, metrics: Metrics, historiesMax: number = historiesMaxDefault) {
    this.history = new ClientHistory(historiesMax);
    this.#logs = logs;
    this.#metrics = metrics;
    this.bans = new BanEvents(logs, metrics, this.history);
    this.deadLetters = new DeadLetterEvents(logs, metrics);
    this.log = new JournalEvents(logs, metrics);
    this.#dropped = metrics.counters(
      'lmqtt_ds_dropped_total',
      'Messages that the dispatch node dropped, by reason',
      'reason',
      dropReasons,
    );
    this.#cameBack = metrics.counter(
      'lmqtt_queues_came_back_total',
      'Queues that were deleted and that a RocketMQ broker had again after a crash',
    );
    this.#connects = metrics.counters('lmqtt_ds_connects_total', 'Answers to CONNECT', 'result', [
      'new',
      'continued',
      'refused',
    ]);
    this.#otherUsers = metrics.counters(
      'lmqtt_ds_session_user_changes_total',
      'CONNECTs with a client identifier whose session belongs to another user',
      'result',
      ['replaced', 'refused'],
    );
    this.#kicked = metrics.counter(
      'lmqtt_ds_takeovers_total',
      'Connections that ds ended: the session was taken over or deleted, the user was removed or the client banned',
    );
    this.#subscribes = metrics.counter(
      'lmqtt_ds_subscribes_total',
      'Topic filters in SUBSCRIBE packets that were granted',
    );
    this.#unsubscribes = metrics.counter(
      'lmqtt_ds_unsubscribes_total',
      'Topic filters in UNSUBSCRIBE packets',
    );
    this.#wills = metrics.counter('lmqtt_ds_wills_total', 'Wills sent');
    this.#delayed = metrics.counter('lmqtt_ds_delayed_total', 'Delayed messages published');
    this.#expired = metrics.counter('lmqtt_ds_sessions_expired_total', 'Sessions that expired');
    this.#damagedBlocks = metrics.counter(
      'lmqtt_store_damaged_blocks_total',
      'Damaged blocks found in the log',
    );
  }

  /** An event of a client could not be kept until it was stored. */
  presenceLost(): void {
    this.#dropped['presence'] += 1;
  }

  connected(session: LiveSession, present: boolean, cleanStart: boolean): void {
    this.#connects[present ? 'continued' : 'new'] += 1;
    const { clientId, peer, principal, protocolVersion } = session;
    const { user } = principal;
    this.#logs.session.debug(
      { clientId, user, address: peer.address, protocolVersion, present, cleanStart },
      'connected',
    );
    this.presence?.connected(session, '', { cleanStart, sessionPresent: present });
    this.hooks?.connected(session, cleanStart, present);
    const how = present ? 'its session goes on' : 'a new session';
    this.history.note(clientId, 'connected', `from ${peer.address}, ${how}`);
  }

  /** A cs has presented the session to this ds, which may not have told that it is connected. */
  takenUp(session: LiveSession): void {
    this.presence?.connected(session, 'presented');
  }

  /** The session of another user ended by this CONNECT. */
  userReplaced({ clientId, principal }: LiveSession): void {
    this.#otherUsers.replaced += 1;
    const { user } = principal;
    this.#logs.session.info(
      { clientId, user },
      'session ended: another user has claimed its client identifier',
    );
  }

  claimRefused(reason: ClaimRefused['reason']): void {
    if (reason === 'other user') this.#otherUsers.refused += 1;
    else this.limitReached(reason);
  }

  refused(request: ConnectRequest, reasonCode: number, reason: string): void {
    this.#connects.refused += 1;
    const { clientId, userName: user, peer } = request;
    const { address } = peer;
    this.#logs.session.debug({ clientId, user, address, reasonCode, reason }, 'CONNECT refused');
    this.history.note(
      clientId,
      'refused',
      `0x${reasonCode.toString(16)} from ${address}: ${reason}`,
    );
  }

  disconnected(session: LiveSession, reason: string): void {
    this.hooks?.disconnected(session, reason);
    this.#logs.session.debug({ clientId: session.clientId, reason }, 'disconnected');
    this.history.note(session.clientId, 'disconnected', reason);
  }

  kicked(session: LiveSession, reasonCode: number): void {
    this.#kicked.value += 1;
    this.#logs.session.debug({ clientId: session.clientId, reasonCode }, 'connection told to end');
    const isTaken = reasonCode === ReasonCode.sessionTakenOver;
    const event = isTaken ? 'taken over' : 'told to go';
    this.history.note(session.clientId, event, `0x${reasonCode.toString(16)}`);
  }

  /** An operator has removed a session that was not connected. */
  sessionRemoved(clientId: ClientId): void {
    this.presence?.expired(clientId);
    this.#logs.session.info({ clientId }, 'session removed');
    this.history.note(clientId, 'session removed', 'by an operator');
  }

  expired(clientId: ClientId): void {
    this.presence?.expired(clientId);
    this.#expired.value += 1;
    this.#logs.session.info({ clientId }, 'session expired');
    this.history.note(clientId, 'session expired');
  }

  subscribed(session: LiveSession, subscriptions: Iterable<StoredSubscription>): void {
    const told = [...subscriptions].map(({ filter, options }) => ({ filter, qos: options.qos }));
    const filters = told.length;
    this.presence?.subscribed(session, told);
    this.#subscribes.value += filters;
    this.#logs.session.debug({ clientId: session.clientId, filters }, 'subscribed');
    this.history.note(
      session.clientId,
      'subscribed',
      filtersText(told.map(({ filter }) => filter)),
    );
  }

  unsubscribed(session: LiveSession, names: readonly string[]): void {
    const filters = names.length;
    this.presence?.unsubscribed(session, names);
    this.#unsubscribes.value += filters;
    this.#logs.session.debug({ clientId: session.clientId, filters }, 'unsubscribed');
    this.history.note(session.clientId, 'unsubscribed', filtersText(names));
  }

  subscribeDenied(session: LiveSession, filter: string): void {
    this.#denied(session, { filter: clipped(filter) }, 'subscribe denied');
    this.history.note(session.clientId, 'subscribe denied', filter);
  }

  subscribeFailed(session: LiveSession, error: unknown): void {
    const { clientId } = session;
    // The client went away meanwhile: nobody waits for the answer.
    if (session.closing)
      this.#logs.session.debug({ clientId }, 'SUBSCRIBE of a session that has ended');
    else this.#logs.session.warn({ clientId, err: error }, 'subscribe failed');
  }

  publishDenied(session: LiveSession, topic: string): void {
    this.#dropped['not authorized'] += 1;
    this.#denied(session, { topic: clipped(topic) }, 'publish denied');
    this.history.note(session.clientId, 'publish denied', topic);
  }

  #denied({ clientId, principal, peer }: LiveSession, what: object, message: string): void {
    const unsaid = this.#denials.take(clientId, systemClock.monotonicMs());
    if (unsaid === undefined) return;
    const { user } = principal;
    const more = unsaid === 0 ? {} : { unsaid };
    this.#logs.auth.warn({ clientId, user, address: peer.address, ...what, ...more }, message);
  }

  publishNotStored(reasonCode: number): void {
    this.#dropped['not stored'] += 1;
    this.#logs.store.debug({ reasonCode }, 'publish not stored');
  }

  /** A cs could not deliver messages. */
  notDelivered(clientId: ClientId, messages: readonly UndeliveredMessage[]): void {
    for (const { reason, filter } of messages.slice(0, toldAtOnce))
      this.history.note(clientId, 'dropped', `a message of ${filter}: ${reason}`);
  }

  deliveryRefused(session: LiveSession): void {
    this.#dropped['delivery refused'] += 1;
    this.#logs.session.debug({ clientId: session.clientId }, 'delivery refused by the client');
  }

  /** A delayed message is published, or, with a reason code, the store takes it at no time. */
  delayedPublished(topic: string, reasonCode: number): void {
    if (reasonCode === 0) this.#delayed.value += 1;
    else {
      this.#dropped['not stored'] += 1;
      this.#logs.session.warn({ topic, reasonCode }, 'a delayed message could not be published');
    }
  }

  retainedRefused(topic: string, limit: LimitName): void {
    this.#metrics.limits[limit] += 1;
    this.#logs.retained.debug({ topic, limit }, 'not retained');
  }

  limitReached(limit: LimitName): void {
    this.#metrics.limits[limit] += 1;
  }

  queueCut(clientId: ClientId, filter: string, messages: number, limit: LimitName): void {
    this.#metrics.limits[limit] += 1;
    this.#dropped['queue limit'] += messages;
    this.#logs.session.info({ clientId, filter, messages, limit }, 'oldest messages dropped');
    this.history.note(clientId, 'dropped', `${messages} of ${filter}: ${limit}`);
  }

  messagesLost(clientId: ClientId, filter: string, messages: number): void {
    this.#dropped['retention'] += messages;
    this.#logs.session.warn({ clientId, filter, messages }, 'messages lost to retention');
    this.history.note(clientId, 'dropped', `${messages} of ${filter}: the log removed them`);
  }

  /**
   * A block was found damaged when it was read. The log tells it at most once in ten seconds, with
   * the sums so far.
   */
  blockDamaged(segment: number, position: number): void {
    this.#damagedBlocks.value += 1;
    this.#tellDamage({ segment, position }, 'a block of the log is damaged and passed over');
  }

  messagesDamaged(queue: QueueId, messages: number): void {
    this.#dropped['damaged'] += messages;
    this.#tellDamage({ queue }, 'damaged messages of the log are passed over');
  }

  #tellDamage(where: object, text: string): void {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - this.#damageToldAtMs < damageToldMs) return;
    this.#damageToldAtMs = nowMs;
    const sums = { blocks: this.#damagedBlocks.value, messages: this.#dropped['damaged'] };
    this.#logs.store.error({ ...where, ...sums }, `${text}; lmqtt check lists all damage`);
  }

  retentionReached(queue: QueueId, messages: number): void {
    this.#metrics.limits.RETENTION_BYTES += 1;
    this.#logs.store.warn({ queue, messages }, 'oldest messages of the log removed');
  }

  /** Queues that came back are deleted once more, when nobody has held them for a time. */
  sweptAgain(broker: string, queues: number): void {
    this.#cameBack.value += queues;
    const text = 'queues that were deleted are back at a broker after its crash';
    this.#logs.store.warn({ broker, queues }, text);
  }

  groupMessageGivenUp(group: string): void {
    this.#dropped['group member lost'] += 1;
    this.#logs.shared.info(
      { group },
      'QoS 2 message of a shared group given up: its member is gone',
    );
  }

  /** QoS 0, on its way to the ds that owns the group: too many wait. */
  groupMessageDropped(group: string): void {
    this.#dropped['queue limit'] += 1;
    this.#logs.shared.debug({ group }, 'QoS 0 message dropped');
  }

  groupReadFailed(group: StoredGroup, error: unknown): void {
    this.#logs.shared.error({ group: group.name, err: error }, 'queue not read');
  }

  willSent(clientId: ClientId, topic: string): void {
    this.#wills.value += 1;
    this.#logs.will.info({ clientId, topic }, 'will sent');
  }

  willNotSent(clientId: ClientId, topic: string, reasonCode: number): void {
    this.#dropped['will not sent'] += 1;
    this.#logs.will.warn({ clientId, topic, reasonCode }, 'will not sent');
  }

  queueNotDropped(queue: QueueId, error: unknown): void {
    this.#logs.store.warn({ queue, err: error }, 'queue not deleted');
  }

  nodeAttached(node: string, instance: string, refused: number): void {
    this.#logs.broker.info({ node, instance, refused }, 'node attached');
  }

  nodeEnded(node: string, sessions: number, reason: string): void {
    const level = reason === 'node left' ? 'info' : 'warn';
    this.#logs.broker[level]({ node, sessions }, reason);
  }

  /** The nodes of the last run have presented their sessions, or are gone. */
  gathered(figures: GatheredFigures): void {
    this.#logs.broker[figures.gone.length > 0 ? 'warn' : 'info'](figures, 'sessions gathered');
  }

  authFile(outcome: FileOutcome): void {
    const { kind, ...rest } = outcome;
    if (kind === 'read') this.#logs.auth.info(rest, 'file read');
    else this.#logs.auth.error(rest, 'file not read; its previous content stays in force');
  }

  keySet(url: string, problem: string | undefined): void {
    if (problem === undefined) this.#logs.auth.info({ url }, 'key set read');
    else this.#logs.auth.warn({ url, problem }, 'key set not read; the one before stays in use');
  }

  authModule(name: string, problem: string): void {
    const unsaid = this.#moduleLines.due(name);
    if (unsaid === undefined) return;
    this.#logs.auth.error({ function: name, problem, unsaid }, 'AUTH_MODULE fails');
  }

  hook(name: string, problem: string): void {
    const unsaid = this.#moduleLines.due(name);
    if (unsaid === undefined) return;
    this.#logs.broker.error({ hook: name, problem, unsaid }, 'a hook fails');
  }

  /** A message was refused by onPublish, or could not wait for it. */
  hookRefused(): void {
    this.#dropped['hook'] += 1;
  }

  redisUsers(problem: string | undefined): void {
    if (problem === undefined) this.#logs.auth.info('Redis says again who users are');
    else this.#logs.auth.warn({ problem }, 'Redis does not say who users are');
  }

  httpAuth(url: string, problem: string | undefined): void {
    if (problem === undefined) this.#logs.auth.info({ url }, 'AUTH_HTTP_URL answers again');
    else this.#logs.auth.warn({ url, problem }, 'AUTH_HTTP_URL does not answer');
  }

  unexpected(where: string, error: unknown): void {
    this.#logs.broker.error({ where, err: error }, 'unexpected failure');
  }
}

const historiesMaxDefault = 10_000;
/** A client's history has no more of messages that were dropped at once. */
const toldAtOnce = 4;
const filtersShown = 4;

function filtersText(filters: readonly string[]): string {
  const more = filters.length > filtersShown ? ` and ${filters.length - filtersShown} more` : '';
  return filters.slice(0, filtersShown).join(', ') + more;
}

const textMax = 256;

/** A topic may be longer than a line of a log should be. */
function clipped(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}…`;
}
