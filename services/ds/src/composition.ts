// The use cases of a dispatch node, made of its ports: the same for the only ds and for one of
// several, which differ in their stores and in what else they bring along.
import { clientIdRuleOf } from '@lmqtt/common/client-id-rule';
import type { Clock } from '@lmqtt/common/clock';
import { type ClientId, type NodeId, nodeId, type QueueId } from '@lmqtt/common/ids';
import type { Metrics } from '@lmqtt/common/metrics';
import type { Settings } from '@lmqtt/common/settings/row';
import type { HasSession } from './use-cases/absent-clients.ts';
import type { BanStore } from './ban-store/ban-store.ts';
import { Bans } from './use-cases/bans.ts';
import type { DelayedStore } from './delayed-store/delayed-store.ts';
import { ClientLocks } from './use-cases/client-locks.ts';
import { ConnectPace } from './use-cases/connect-pace.ts';
import { DeadLetters } from './use-cases/dead-letters.ts';
import type { CsNode } from './sessions/cs-node.ts';
import { stopGraceMs } from './use-cases/disconnect.ts';
import { DelayedPublishes } from './use-cases/delayed-publishes.ts';
import type { UseCasePorts } from './ds-link.ts';
import type { DsEvents } from './events.ts';
import type { Groups } from './use-cases/groups.ts';
import type { Holdings } from './use-cases/holdings.ts';
import type { LiveSession } from './sessions/live-session.ts';
import type { OpenAuth } from './auth/open-auth.ts';
import type { OwedQueues } from './use-cases/owed-queues.ts';
import { Presence, type SeenClients } from './use-cases/presence.ts';
import { Publisher } from './use-cases/publish.ts';
import type { QueueStore } from './queue-store/queue-store.ts';
import { workRetries } from './use-cases/retries.ts';
import type { RetryQueue } from './retry-queue/retry-queue.ts';
import type { RetainedStore } from './retained-store/retained-store.ts';
import type { Routes } from './routing/routes.ts';
import type { DueStore, SessionStore } from './session-store/session-store.ts';
import { aclCachedHelp, type SessionRights } from './use-cases/session-rights.ts';
import { PublishHook } from './use-cases/publish-hook.ts';
import { SubscribeHook } from './use-cases/subscribe-hook.ts';
import { ClientHooks } from './hooks/client-hooks.ts';
import { DeliveryHook } from './hooks/delivery-hook.ts';
import { sysFigures } from './use-cases/sys-figures.ts';
import { SysTopics } from './use-cases/sys-topics.ts';
import { Wills } from './use-cases/wills.ts';

/** A displaced connection has the lease of its node and this time to be judged and stored. */
const takeoverMarginMs = 4000;

/** Ports and settings that a composition root has opened. */
interface Parts<Store extends SessionStore & DueStore> {
  readonly settings: Settings;
  readonly metrics: Metrics;
  readonly version: string;
  readonly clock: Clock;
  readonly events: DsEvents;
  readonly auth: OpenAuth;
  readonly nodes: Map<NodeId, CsNode>;
  readonly live: Map<ClientId, LiveSession>;
  readonly routes: Routes;
  readonly rights: SessionRights;
  readonly sessionStore: Store & { readonly storedCount: number };
  readonly queueStore: QueueStore;
  readonly retained: RetainedStore & { readonly count: number; readonly bytes: number };
  readonly retryQueue: RetryQueue;
  readonly delayed: DelayedStore;
  readonly banStore: BanStore;
  readonly holdings: Holdings;
  readonly owed: OwedQueues;
  readonly groups: Groups;
  /** The store wants every message, also one that no queue is held for. */
  readonly storesAll: boolean;
  /** Where more than QUEUE_QOS0 decides whether QoS 0 is queued. */
  readonly qos0?: { readonly isQueued: boolean };
  /** Whether a client has a session at any ds; absent: who has a queue has one. */
  readonly hasSession?: HasSession;
  /** A position in the queue has moved. */
  moved(queue: QueueId): void;
  /** Figures for `$SYS` that are counted in another way by each kind of ds. */
  figures(): { connected: number; sessions: number; subscriptions: number };
  /** Figures of cs for `$SYS`, by the rest of the topic: `messages/received`. */
  readonly counters: (() => Record<string, number>) | undefined;
  /** Where only this ds can know who was connected. */
  readonly seen?: SeenClients;
}

interface UseCases<Store extends SessionStore & DueStore> extends UseCasePorts {
  readonly sessionStore: Store;
  /** A planned stop begins: from now on wills wait for their clients. */
  prepareStop(): void;
  /** Tells onDeliver what was delivered; from a timer of one ds at a time, each second. */
  countDeliveries(): void;
  /** Counts the connected clients for their maximum; called now and then. */
  countConnected(): void;
  /** Publishes what waits for another try and is due; from a timer of one ds at a time. */
  workRetries(): Promise<void>;
}

/** `more`: what only this kind of ds has. */
export function useCasesOf<Store extends SessionStore & DueStore, More extends object>(
  parts: Parts<Store>,
  more: Pick<UseCasePorts, 'kickAt' | 'replayQueue'> & More,
): UseCases<Store> & More {
  const { settings, clock, events, auth, nodes, routes, rights } = parts;
  const { sessionStore, queueStore, retained, delayed, groups } = parts;
  const startedMs = clock.monotonicMs();
  const publisher = new Publisher({
    nodes,
    access: auth.provider,
    routes,
    queueStore,
    retained,
    delayed: new DelayedPublishes({
      ...{ store: delayed, access: auth.provider, clock, events },
      delayMsMax: settings.delaySMax * 1000,
    }),
    events,
    qos0: parts.qos0 ?? { isQueued: settings.queueQos0 },
    retainedMax: settings.maxRetainedMessages,
    storesAll: parts.storesAll,
    hasSession: parts.hasSession,
  });
  rights.onChanged((session) => groups.rightsChanged(session));
  queueStore.onLost((loss) => {
    if (loss.messages > 0) events.retentionReached(loss.queue, loss.messages);
  });
  let connectedMax = 0;
  const countConnected = (): void => {
    connectedMax = Math.max(connectedMax, parts.figures().connected);
  };
  const sys = new SysTopics(nodes, routes, () => {
    countConnected();
    return sysFigures({
      ...parts.figures(),
      version: parts.version,
      uptimeS: (clock.monotonicMs() - startedMs) / 1000,
      connectedMax,
      queues: routes.queueCount,
      groups: groups.count,
      retained: retained.count,
      retainedBytes: retained.bytes,
      counters: parts.counters?.() ?? {},
    });
  });
  let graceMs = 0;
  watch(parts);
  const { retryQueue } = parts;
  if (settings.presence === 'on')
    events.presence = new Presence({
      ...{ store: delayed, clock, self: nodeId(settings.nodeId), topic: settings.presenceTopic },
      ...(parts.seen === undefined ? {} : { seen: parts.seen }),
      lost: () => events.presenceLost(),
    });
  const { hooks } = auth;
  if (hooks !== undefined) events.hooks = new ClientHooks(hooks);
  const deliveries =
    hooks && new DeliveryHook(hooks, () => parts.counters?.()['publish/messages/sent'] ?? 0);
  const bans = bansOf(parts);
  const common: UseCases<Store> = {
    bans,
    publishHook: publishHookOf(parts, publisher),
    subscribeHook:
      hooks?.hooks.onSubscribe && new SubscribeHook(hooks, hooks.hooks.onSubscribe, rights),
    countDeliveries: () => deliveries?.run(),
    sessionStore,
    wills: new Wills({ sessionStore, access: auth.provider, publisher, events, clock }),
    deadLetters: new DeadLetters({
      ...{ queueStore, retryQueue, clock },
      events: events.deadLetters,
      keeps: settings.deadLetters,
      keepsOfEnded: settings.deadLetterSessionEnd,
      rateMax: settings.deadLetterRate,
    }),
    workRetries: () =>
      workRetries({
        ...{ retryQueue, publisher, clock },
        events: events.deadLetters,
        triesMax: settings.maxRetryTime,
        intervalMs: settings.retryIntervalMs,
      }),
    holdings: parts.holdings,
    owed: parts.owed,
    groups,
    events,
    live: parts.live,
    nodes,
    routes,
    retained,
    delayed,
    queueStore,
    publisher,
    sys,
    limits: {
      queueStore,
      sessionStore,
      events,
      messagesMax: settings.maxQueuedMessages,
      bytesMax: settings.maxQueuedBytes,
      messageBytesMax: settings.maxPacketSize,
      moved: (queue) => parts.moved(queue),
      isOfAllTopics: (queue) => more.replayQueue?.() === queue,
    },
    rights,
    authenticator: auth.provider,
    enhancedAuth: auth.enhanced,
    locks: new ClientLocks(),
    clock,
    clientIdRule: clientIdRuleOf(settings.clientIdRule),
    pace: new ConnectPace(),
    p2p: settings.p2p ?? parts.storesAll,
    sessionUserChange: settings.sessionUserChange,
    sessionExpirySMax: settings.sessionExpirySMax,
    willDelaySMax: settings.willDelaySMax,
    subscriptionsMax: settings.maxSubscriptionsPerSession,
    subscriptionBytesMax: settings.maxSubscriptionBytes,
    overlappingMax: settings.maxOverlappingSubscriptions,
    takeoverMs: 2 * settings.leaseMs + takeoverMarginMs,
    kickAt: more.kickAt,
    graceMs: () => graceMs,
    countConnected,
    prepareStop: () => {
      graceMs = stopGraceMs;
    },
  };
  return Object.assign(common, more);
}

function bansOf(parts: Parts<SessionStore & DueStore>): Bans {
  const { settings, metrics, clock, events, live, banStore } = parts;
  const bans = new Bans({
    ...{ store: banStore, events, live, clock },
    flapConnectsMax: settings.flapConnectsMax,
    flapWindowMs: settings.flapWindowS * 1000,
    flapBanMs: settings.flapBanS * 1000,
  });
  const bansHelp = 'Bans of client identifiers, users and addresses, in a cluster of all nodes';
  metrics.gauge('lmqtt_bans', bansHelp, () => bans.count);
  return bans;
}

function publishHookOf(
  { auth, settings, metrics }: Parts<SessionStore & DueStore>,
  publisher: Publisher,
): PublishHook | undefined {
  const calls = auth.hooks;
  const onPublish = calls?.hooks.onPublish;
  if (calls === undefined || onPublish === undefined) return undefined;
  const options = {
    ...{ calls, onPublish, access: auth.provider },
    passesFailures: settings.hookPublishWhenFailing === 'pass',
    waitingBytesMax: settings.hookWaitingBytes,
    topicLevelsMax: settings.maxTopicLevels,
    payloadBytesMax: settings.maxPacketSize,
    onWaitingFull: () => {
      metrics.limits.HOOK_WAITING_BYTES += 1;
    },
  };
  const hook: PublishHook = new PublishHook(options, publisher);
  metrics.gauge(
    'lmqtt_hook_waiting_bytes',
    'Bytes of publishes that wait for onPublish',
    () => hook.waitingBytes,
  );
  return hook;
}

function watch(parts: Parts<SessionStore & DueStore>): void {
  const { metrics, live, routes, groups, retained, delayed, rights, sessionStore } = parts;
  metrics.gauge('lmqtt_ds_acl_cached', aclCachedHelp, () => rights.cached);
  metrics.gauge(
    'lmqtt_sessions_stored',
    'Sessions that outlive their connections, in a cluster of all nodes',
    () => sessionStore.storedCount,
  );
  metrics.gauge('lmqtt_sessions_connected', 'Connected sessions', () => live.size);
  metrics.gauge('lmqtt_queues', 'Queues that somebody holds', () => routes.queueCount);
  metrics.gauge(
    'lmqtt_client_queues',
    'Queues of single clients (P2P)',
    () => routes.clientQueueCount,
  );
  metrics.gauge('lmqtt_shared_groups', 'Shared groups', () => groups.count);
  metrics.gauge('lmqtt_retained_messages', 'Retained messages', () => retained.count);
  metrics.gauge('lmqtt_retained_bytes', 'Bytes of retained messages', () => retained.bytes);
  metrics.gauge(
    'lmqtt_delayed_messages',
    'Delayed messages that wait for their time',
    () => delayed.count,
  );
  metrics.gauge(
    'lmqtt_delayed_bytes',
    'Bytes of the delayed messages that wait',
    () => delayed.bytes,
  );
}
