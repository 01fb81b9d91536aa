import type { Message } from '@lmqtt/common/message';
import { type Clock, systemClock } from '@lmqtt/common/clock';
import { type ClientId, type NodeId, type QueueId, queueName } from '@lmqtt/common/ids';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { LiveSettings } from '@lmqtt/common/settings/live-settings';
import type { Settings } from '@lmqtt/common/settings/row';
import { Arrivals } from './routing/arrivals.ts';
import type { ClientEvent } from './client-history.ts';
import { type ClientDetail, clientDetail } from './use-cases/client-detail.ts';
import { type ClientPage, listClients, type PageRequest } from './use-cases/clients.ts';
import { endWithConnection, removeAbsent } from './use-cases/remove-session.ts';
import { useCasesOf } from './composition.ts';
import type { Bans } from './use-cases/bans.ts';
import type { DeadLetters } from './use-cases/dead-letters.ts';
import type { CsNode } from './sessions/cs-node.ts';
import type { DelayedLine, DelayedPlace } from './delayed-store/delayed-store.ts';
import type { EmbeddedSeenClients } from './delayed-store/embedded/seen-clients.ts';
import { DsLinkServer } from './ds-link.ts';
import { Gathering } from './single/gathering.ts';
import { DuePublishes } from './use-cases/due-publishes.ts';
import { workDue } from './use-cases/due.ts';
import {
  gaugesOf,
  noteReached,
  openEmbeddedStores,
  restore,
  subscriptionsOf,
} from './embedded-stores.ts';
import { DsEvents } from './events.ts';
import type { Files } from './journal/files.ts';
import { kick } from './use-cases/kick.ts';
import type { LiveSession } from './sessions/live-session.ts';
import { LocalGroups } from './single/groups.ts';
import { LocalHoldings } from './single/holdings.ts';
import { LocalOwedQueues } from './single/owed-queues.ts';
import type { ModuleFunctions } from './auth/module/auth-module.ts';
import type { MetaFunctions } from './meta/meta.ts';
import { openMeta } from './meta/open-meta.ts';
import { openAuth } from './auth/open-auth.ts';
import { type Operators, operatorsOf } from './use-cases/operators.ts';
import { AbsentLimits } from './use-cases/queue-limits.ts';
import type { QueueStore } from './queue-store/queue-store.ts';
import { ReplayQueue } from './single/replay-queue.ts';
import { QueueTrim } from './single/queue-trim.ts';
import { Routes } from './routing/routes.ts';
import type { EmbeddedSessionStore } from './session-store/embedded/embedded-session-store.ts';
import type { StoredSession, StoredSubscription } from './session-store/stored-session.ts';
import { SessionRights } from './use-cases/session-rights.ts';
import { Timers } from './timers.ts';

export interface DsOptions {
  readonly settings: Settings;
  /** Settings that change while it runs; without it none does. */
  readonly live?: LiveSettings;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly version: string;
  readonly clock?: Clock;
  /** For tests of durability. */
  readonly files?: Files;
  /** In place of the embedded one, for tests of what is above it. */
  readonly queueStore?: QueueStore;
  /**
   * cs nodes are other processes: they outlive this one, which gathers their sessions when it
   * starts, and they have leases. Without it the one cs is of this process.
   */
  readonly csOutlives?: boolean;
  /** Figures of cs for `$SYS`, by the rest of the topic: `messages/received`. */
  readonly counters?: () => Record<string, number>;
  /** Functions in place of a module of AUTH_MODULE. */
  readonly auth?: ModuleFunctions | undefined;
  /** Functions in place of a module of META_MODULE. */
  readonly meta?: MetaFunctions | undefined;
}

export {
  type AuthAnswer,
  type AuthClient,
  type AuthFunctions,
  type AuthQuestion,
  boundFunctions,
  type ModuleFunctions,
} from './auth/module/auth-module.ts';
export type {
  ChangedMessage,
  HookClient,
  HookConnect,
  HookDeliveries,
  HookDisconnect,
  HookName,
  HookProperties,
  HookPublish,
  Hooks,
  HookSubscribe,
  PublishVerdict,
  SubscribeVerdict,
} from './hooks/hooks.ts';

export type { MetaFunctions, RetainedRecord } from './meta/meta.ts';

export interface DsService {
  readonly link: DsLinkServer;
  /** Open for business: see Gathering. */
  readonly gathered: Promise<void>;
  /** Why publishes are refused at present; null: they are not. */
  readonly failure: string | null;
  clients(request: PageRequest): Promise<ClientPage>;
  /** null: there is no session of that id. */
  client(id: ClientId): Promise<ClientDetail | null>;
  /** The last events of a client, the oldest first. */
  history(id: ClientId): Promise<readonly ClientEvent[]>;
  /** Ends the session, connected or not; its will is due. False: there is none. */
  removeSession(id: ClientId): Promise<boolean>;
  readonly sessionCount: number;
  readonly deadLetters: DeadLetters;
  readonly bans: Bans;
  /** Publishes a message of the process itself. Resolves with its reason code, when it is stored. */
  publish(message: Message): Promise<number>;
  /** Closes its connection with 0x98; its session stays. False: it is not connected. */
  disconnect(id: ClientId): boolean;
  readonly operators: Operators;
  /** Messages that wait for their time, in the order of their times. */
  delayed(after: DelayedPlace | undefined, linesMax: number): Promise<DelayedLine[]>;
  /** False: no message of that id waits. */
  cancelDelayed(id: number): Promise<boolean>;
  /** A planned stop begins: from now on wills wait for their clients. Before cs closes them. */
  prepareStop(): void;
  /** After cs has stopped: writes what is pending. */
  stop(): Promise<void>;
}

/** For what is still told of clients at the end. */
const storedMs = 2000;
const dueMs = 200;
const delayedMs = 50;
const replayMs = 5000;
const trimMs = 500;
const sweepMs = 1000;
const judgeMs = 1000;
const limitsMs = 500;
const deliveriesMs = 1000;
const bansMs = 1000;

/** The composition root of the only ds. */
export async function startDs(options: DsOptions): Promise<DsService> {
  const { settings, logs, metrics } = options;
  const clock = options.clock ?? systemClock;
  const events = new DsEvents(logs, metrics, settings.clientHistoriesMax);
  const auth = await openAuth({
    settings,
    p2p: false,
    live: options.live,
    metrics,
    functions: options.auth,
    report: (outcome) => events.authFile(outcome),
    events,
  });

  const stores = openEmbeddedStores(options, clock, events);
  const { journal, leaseClock, registry, sessionStore, groupStore } = stores;
  const { retained: ownRetained, retryQueue, delayed, seen, banStore, embedded } = stores;
  const metaOptions = { settings, metrics, logs, clock, functions: options.meta };
  const queueStore = options.queueStore ?? embedded;
  const { leaseMs } = settings;
  const csOutlives = options.csOutlives === true;
  const meta = await openMeta(metaOptions, ownRetained).catch((error: unknown) => {
    auth.close();
    throw error;
  });
  const { retained } = meta;
  try {
    await journal.open();
  } catch (error) {
    auth.close();
    await meta.close();
    throw error;
  }
  try {
    await meta.load(true);
  } catch (error) {
    auth.close();
    await meta.close();
    await journal.close();
    throw error;
  }

  const nodes = new Map<NodeId, CsNode>();
  const live = new Map<ClientId, LiveSession>();
  const routes = new Routes(nodes);
  const rights = new SessionRights(auth.provider, events, live, settings.aclCache);
  registry.onRoutes((change) => routes.apply(change));
  const holdings = new LocalHoldings(routes, registry, queueStore, events);
  const owed = new LocalOwedQueues(routes, holdings);
  const flush = (): void => {
    for (const node of nodes.values()) node.flush();
  };
  const groups = new LocalGroups({
    groupStore,
    sessionStore,
    queueStore,
    holdings,
    events,
    rights,
    group: {
      read: (request) => queueStore.read(request),
      flush,
      failed: (group, error) => events.groupReadFailed(group, error),
      partitions: () => options.queueStore?.partitions?.() ?? [],
      readMessages: settings.readBatch,
      retryIntervalMs: settings.retryIntervalMs,
      triesMax: settings.maxRetryTime,
    },
    undelivered: (clientId, message) => ports.deadLetters.undelivered(clientId, [message]),
  });
  const ports = useCasesOf(
    {
      ...{ settings, metrics, version: options.version, clock, events, auth },
      ...{
        nodes,
        live,
        routes,
        rights,
        sessionStore,
        queueStore,
        retained,
        retryQueue,
        delayed,
        seen,
        banStore,
        holdings,
        owed,
        groups,
      },
      storesAll: false,
      moved: (queue) => routes.moved(queue),
      figures: () => ({
        connected: live.size,
        sessions: sessionStore.count,
        subscriptions: sessionStore.subscriptionCount,
      }),
      counters: options.counters,
    },
    {
      registry,
      replayQueue: (): QueueId | undefined => replay.id,
      kickAt: () => {},
      isDropped: (queue: QueueId) => embedded.isDropped(queue),
      hold: (subscription: StoredSubscription) => {
        holdings.restore(subscription.queue, queueName(subscription.filter));
        holdings.add(subscription);
      },
    },
  );

  const arrivals = new Arrivals(nodes, routes);
  queueStore.onArrivals((messages) => arrivals.take(messages));
  noteReached(sessionStore, groupStore, embedded, registry);
  const replay = new ReplayQueue(registry, holdings, {
    queueStore,
    clock,
    keptMs: settings.replayS * 1000,
    subscriptions: subscriptionsOf(sessionStore),
  });
  restore(sessionStore, groupStore, ownRetained, holdings, groups, owed);
  registry.start();
  gaugesOf(stores, metrics);

  const trim = new QueueTrim(routes, queueStore);
  const absent = new AbsentLimits(ports.limits, () => sessionStore.sessions);
  const timers = new Timers((where, error) => events.unexpected(where, error));
  /** Everybody who holds something is known. */
  const open = (): void => {
    tellLost(events, sessionStore, seen, live);
    sessionStore.start();
    groups.settle();
    holdings.settle(embedded.queues());
    timers.every('due times', dueMs, () => workDue(ports));
    const due = new DuePublishes(ports);
    timers.every('delayed messages', delayedMs, () => due.run());
    timers.every('replay', replayMs, () => replay.run());
    timers.every('trim', trimMs, () => trim.run());
    timers.every('retained', sweepMs, () => ownRetained.sweep());
    timers.every('leases', Math.min(judgeMs, leaseMs / 3), () => {
      ports.countConnected();
      return server.judgeLeases();
    });
    timers.every('deliveries', deliveriesMs, () => ports.countDeliveries());
    timers.every('limits', limitsMs, () => absent.run());
    timers.every('bans', bansMs, () => ports.bans.run());
    timers.every('retries', dueMs, () => ports.workRetries());
    if (settings.sysIntervalS > 0)
      timers.every('$SYS', settings.sysIntervalS * 1000, () => ports.sys.send());
  };
  const gathering = csOutlives ? new Gathering(ports, leaseClock, open) : undefined;
  const server = new DsLinkServer(ports, gathering);
  if (gathering === undefined) open();
  else gathering.start();

  return {
    link: server,
    gathered: gathering?.done ?? Promise.resolve(),
    get failure() {
      return journal.refusal === 0 ? null : 'the store refuses to write';
    },
    clients: (request) => listClients({ sessionStore, queueStore, live }, request),
    async client(id) {
      const stored = sessionStore.find(id);
      return stored === undefined ? null : clientDetail(ports, stored);
    },
    history: (id) => Promise.resolve(events.history.of(id)),
    async removeSession(id) {
      const session = live.get(id);
      if (session !== undefined) await endWithConnection(ports, session);
      const found = (): Promise<StoredSession | undefined> =>
        Promise.resolve(sessionStore.find(id));
      return (await removeAbsent(ports, id, found)) || session !== undefined;
    },
    get sessionCount() {
      return sessionStore.count;
    },
    deadLetters: ports.deadLetters,
    bans: ports.bans,
    publish: (message) =>
      new Promise((resolve) => {
        ports.publisher.publishOwn(message, `\0${message.topic}`, ignore, resolve);
      }),
    disconnect(id) {
      const session = live.get(id);
      if (session === undefined) return false;
      kick(events, session, ReasonCode.administrativeAction);
      return true;
    },
    operators: operatorsOf({
      ...{ settings, access: auth.provider, routes, retained, queueStore, groups, clock },
      publisher: ports.publisher,
      countSubscriptions: (queues) =>
        Promise.resolve(new Map(queues.map(({ id, holders }) => [id, holders.size]))),
      allGroups: (own) => own(),
    }),
    delayed: (after, linesMax) => delayed.page(after, linesMax),
    cancelDelayed: (id) => delayed.cancel(id),
    prepareStop: () => ports.prepareStop(),
    async stop() {
      gathering?.stop();
      await timers.stop();
      // Nodes that are other processes come back to the next ds with their sessions.
      if (gathering === undefined) for (const id of [...nodes.keys()]) await server.detach(id);
      await within(storedMs, events.presence?.stored());
      await meta.close();
      await embedded.close();
      await journal.close();
      auth.close();
    },
  };
}

/** Clients of the last run, stored or not, that nobody has presented. */
function tellLost(
  events: DsEvents,
  { sessions }: Pick<EmbeddedSessionStore, 'sessions'>,
  seen: EmbeddedSeenClients,
  live: ReadonlyMap<ClientId, LiveSession>,
): void {
  const lost = new Set([...seen.all].filter((clientId) => !live.has(clientId)));
  for (const { connected, clientId } of sessions)
    if (connected && !live.has(clientId)) lost.add(clientId);
  if (events.presence !== undefined) events.presence.lost(lost, 'the broker ended');
  else for (const clientId of lost) seen.gone(clientId);
}

/** Waits for the work, but not for longer. */
function within(ms: number, work: Promise<void> | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    void (work ?? Promise.resolve()).then(end, end);
  });
}

function ignore(): void {
  // The answer says the same.
}
