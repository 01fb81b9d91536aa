import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '@lmqtt/common/clock';
import { type ClientId, csOfLane, type NodeId, nodeId, type QueueId } from '@lmqtt/common/ids';
import type { Metrics } from '@lmqtt/common/metrics';
import { replayQueueName } from '@lmqtt/common/replay-filter';
import type { LiveSettings } from '@lmqtt/common/settings/live-settings';
import type { Settings } from '@lmqtt/common/settings/row';
import { Arrivals } from './routing/arrivals.ts';
import { type ClientEvent, mergedEvents } from './client-history.ts';
import type { ClientDetail } from './use-cases/client-detail.ts';
import type { ClientPage, PageRequest } from './use-cases/clients.ts';
import { ClusterAdmission } from './cluster/admission.ts';
import { ClusterClients } from './cluster/clients.ts';
import { DsDrain } from './cluster/drain.ts';
import { nodeDrains } from './cluster/node-drains.ts';
import type { DrainOutcome } from './use-cases/drain-outcome.ts';
import { PeerQuestions } from './cluster/ds-questions.ts';
import { ClusterHoldings } from './cluster/holdings.ts';
import { ClusterOwedQueues } from './cluster/owed-queues.ts';
import type { ClusterStores, OtherNodes } from './cluster/stores.ts';
import { ClusterWork } from './cluster/work.ts';
import { useCasesOf } from './composition.ts';
import type { Bans } from './use-cases/bans.ts';
import type { DeadLetters } from './use-cases/dead-letters.ts';
import type { CsNode } from './sessions/cs-node.ts';
import type { DelayedLine, DelayedPlace } from './delayed-store/delayed-store.ts';
import type { DsEvents } from './events.ts';
import type { LiveSession } from './sessions/live-session.ts';
import type { ModuleFunctions } from './auth/module/auth-module.ts';
import { openAuth } from './auth/open-auth.ts';
import { groupLines } from './use-cases/group-lines.ts';
import { type Operators, operatorsOf } from './use-cases/operators.ts';
import { clusterAnswers } from './cluster/operator-answers.ts';
import type { Outlet } from './routing/outlet.ts';
import { QueueEnds } from './cluster/queue-ends.ts';
import type { NodeLine } from './registry/nodes.ts';
import { Routes } from './routing/routes.ts';
import { SessionPositions } from './use-cases/session-positions.ts';
import type { Held } from './session-store/session-store.ts';
import { SessionRights } from './use-cases/session-rights.ts';
import { Timers } from './timers.ts';

interface ClusterDsOptions {
  readonly settings: Settings;
  /** Settings that change while it runs; without it none does. */
  readonly live?: LiveSettings;
  readonly metrics: Metrics;
  readonly version: string;
  readonly clock?: Clock;
  readonly events: DsEvents;
  /** Functions in place of a module of AUTH_MODULE. */
  readonly auth?: ModuleFunctions | undefined;
  /** Stores on the routes of this ds. */
  openStores(routes: Routes): Promise<ClusterStores>;
  /** Figures of cs for `$SYS`, by the rest of the topic: `messages/received`. */
  readonly counters?: () => Record<string, number>;
  /** Connections of all cs, as they have told. */
  readonly connections?: () => number;
  /** Whether a lane is here, over an open stream; where not, its cs may have gone elsewhere. */
  readonly isHeard?: (lane: NodeId) => boolean;
  /** Asks a cs to drain, or to take clients again. False: it is not attached here. */
  readonly drainCs?: (cs: NodeId, draining: boolean) => boolean;
}

export interface ClusterDsService {
  readonly admission: ClusterAdmission;
  /** Joins the cluster: cs nodes reach it at this address. */
  join(address: string): Promise<void>;
  readonly failure: string | null;
  /** Name of the thing that it waits for after it has joined; null: it waits for nothing. */
  readonly awaited: string | null;
  /** A fault with which ds still works; null: none. */
  readonly notice: string | null;
  /** Clients of the whole cluster, connected or not. */
  clients(request: PageRequest): Promise<ClientPage>;
  /** Connected or not; null: there is no session of that id. */
  client(id: ClientId): Promise<ClientDetail | null>;
  /** The last events of a client, the oldest first. */
  history(id: ClientId): Promise<readonly ClientEvent[]>;
  /** Ends the session, connected or not; its will is due. False: there is none. */
  removeSession(id: ClientId): Promise<boolean>;
  readonly sessionCount: number;
  nodes(): Promise<NodeLine[]>;
  readonly deadLetters: DeadLetters;
  readonly bans: Bans;
  disconnect(id: ClientId): Promise<boolean>;
  readonly operators: Operators;
  /** Messages that wait for their time, in the order of their times. */
  delayed(after: DelayedPlace | undefined, linesMax: number): Promise<DelayedLine[]>;
  /** False: no message of that id waits. */
  cancelDelayed(id: number): Promise<boolean>;
  /** Whether this ds hands over what it has, and gets no new clients. */
  readonly draining: boolean;
  /** A node of the cluster is to drain, or no more. */
  readonly drain: (id: NodeId, draining: boolean) => Promise<DrainOutcome>;
  /** Hands over what lives here, as far as that goes within the time; before `stop`. */
  leave(withinMs: number): Promise<void>;
  prepareStop(): void;
  stop(): Promise<void>;
}

const sweepMs = 1000;
const positionsMs = 5000;
const bansMs = 500;
const retriesMs = 1000;

/** The composition root of one of several ds, over whatever stores. */
export async function startClusterDs(options: ClusterDsOptions): Promise<ClusterDsService> {
  const { settings, metrics, events } = options;
  const clock = options.clock ?? systemClock;
  const self = nodeId(settings.nodeId);
  const auth = await openAuth({
    settings,
    p2p: true,
    live: options.live,
    metrics,
    functions: options.auth,
    report: (outcome) => events.authFile(outcome),
    events,
  });
  const outlets = new Map<NodeId, Outlet>();
  const nodes = new Map<NodeId, CsNode>();
  const live = new Map<ClientId, LiveSession>();
  const routes = new Routes(outlets);
  let stores: ClusterStores;
  try {
    stores = await options.openStores(routes);
  } catch (error) {
    auth.close();
    throw error;
  }
  const { registry, sessionStore, retained, delayed, queueStore } = stores;
  const rights = new SessionRights(auth.provider, events, live, settings.aclCache);
  const holdings = new ClusterHoldings({
    routes,
    log: registry.routeLog,
    placeOf: (name) => stores.placeOf(name),
    self,
    live,
  });
  const owed = new ClusterOwedQueues(holdings);
  const groups = stores.groups({
    ...{ holdings, routes, live, outlets, nodes, events, clock, rights },
    retryIntervalMs: settings.retryIntervalMs,
    triesMax: settings.maxRetryTime,
    undelivered: (clientId, message) => ports.deadLetters.undelivered(clientId, [message]),
  });
  const connected = (): number => Math.max(live.size, options.connections?.() ?? 0);
  const ends = new QueueEnds(routes);
  const positions =
    stores.positions &&
    new SessionPositions(stores.positions, (error) => events.unexpected('positions', error));
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
        retryQueue: stores.retryQueue,
        delayed,
        banStore: stores.banStore,
        holdings,
        owed,
        groups,
      },
      storesAll: true,
      ...(stores.others === undefined ? {} : { qos0: qos0Of(settings.queueQos0, stores.others) }),
      hasSession: async (client) =>
        live.has(client) || (await sessionStore.look(client)) !== undefined,
      moved: () => {},
      figures: () => {
        const count = connected();
        return {
          connected: count,
          sessions: count,
          subscriptions: subscriptionsOf(live.values()),
        };
      },
      counters: options.counters,
    },
    {
      ...(positions === undefined ? {} : { positions }),
      outlets,
      self,
      registeredNodes: registry.nodes,
      inbox: registry.inbox,
      ownership: registry.ownership,
      routeLog: registry.routeLog,
      gatherMs: () => stores.gatherMs,
      packetBytesMax: () => stores.packetBytesMax,
      canMatch: (filter: string) => stores.canMatch?.(filter) ?? true,
      kickAt: (held: Held) => admission.kickAt(csOfLane(held.node), held.handle),
      replayQueue: () => replayQueue,
      isDropped: (queue: QueueId) => routes.queue(queue) === undefined,
      // The interest of its cs holds it.
      hold: () => {},
      tellEnds: (cs: Outlet) => ends.tell(cs),
      // A queue that nobody holds here may be read by clients of other nodes.
      drop: async (place: string) => {
        if (stores.others?.areThere !== true) await stores.dropPlace(place);
      },
      returnedStores: () =>
        stores.others?.areThere === true ? [] : (stores.returnedStores?.() ?? []),
    },
  );
  const admission: ClusterAdmission = new ClusterAdmission(ports);
  const arrivals = new Arrivals(nodes, routes);
  queueStore.onArrivals((messages) => {
    ends.take(messages);
    arrivals.take(messages);
  });
  let replayQueue: QueueId | undefined;
  const timers = new Timers((where, error) => events.unexpected(where, error));
  const work = new ClusterWork(ports);
  const { nodes: registeredNodes, inbox } = registry;
  const questions = new PeerQuestions({ inbox, registeredNodes, self, events });
  const clients = new ClusterClients(ports, questions);
  const histories = questions.about('history of a client', (id: ClientId) =>
    Promise.resolve(events.history.of(id)),
  );
  const drain = new DsDrain({
    ...{ self, registeredNodes, work, groups },
    sessions: () => {
      const isHeard = options.isHeard ?? (() => true);
      let count = 0;
      for (const { id, sessions } of nodes.values()) if (isHeard(id)) count += sessions.size;
      return count;
    },
    failed: (error) => events.unexpected('drain', error),
  });
  const drains = nodeDrains({
    ...{ self, registeredNodes, questions, drain },
    drainCs: options.drainCs ?? (() => false),
  });
  const operators = operatorsOf({
    ...{ settings, access: auth.provider, routes, retained, queueStore, groups, clock },
    publisher: ports.publisher,
    ...clusterAnswers(questions, routes, holdings, () => groupLines(queueStore, groups.owned())),
  });

  return {
    admission,
    async join(address) {
      const record = {
        id: self,
        role: 'ds' as const,
        instance: randomUUID(),
        version: options.version,
        address,
        startedAtMs: clock.nowMs(),
      };
      await registry.nodes.start(record);
      await registry.routeLog.start((change) => {
        if (change.kind === 'close') ends.forget(change.queue);
        if (change.kind === 'open') stores.opened?.(change.name, change.place);
        routes.apply(change);
      });
      const known = await registry.nodes.list().catch(() => []);
      const cs = known.filter(({ role, state }) => role === 'cs' && state !== 'gone');
      admission.open(cs.map(({ id }) => id));
      await stores.start();
      if (settings.replayS > 0) replayQueue = await holdings.keep(replayQueueName);
      await stores.others?.start((id) => clients.end(id as ClientId));
      work.start(timers);
      timers.every('retries', retriesMs, () => (work.hasTimers ? ports.workRetries() : undefined));
      timers.every('deliveries', sweepMs, () => {
        // Each cs tells its figures to all ds.
        if (work.hasTimers) ports.countDeliveries();
      });
      timers.every('stored sessions', sweepMs, () => sessionStore.readCount(false));
      timers.every('figures of delayed messages', sweepMs, () => delayed.refresh());
      timers.every('bans', bansMs, () => ports.bans.run());
      timers.every('retained', sweepMs, () => {
        ports.countConnected();
        return stores.sweepRetained();
      });
      timers.every('positions', positionsMs, () => positions?.run(live.values()));
      if (settings.sysIntervalS > 0)
        timers.every('$SYS', settings.sysIntervalS * 1000, () => {
          // Figures are of the cluster: one ds tells them.
          if (work.hasTimers) ports.sys.send();
        });
    },
    get failure() {
      return stores.failure;
    },
    get awaited() {
      return admission.waits ? 'cs nodes have yet to attach' : null;
    },
    get notice() {
      return stores.notice ?? null;
    },
    clients: (request) => clients.page(request),
    client: (id) => clients.one(id),
    history: async (id) => mergedEvents(await histories(id)),
    removeSession: (id) => clients.remove(id),
    get sessionCount() {
      return live.size;
    },
    nodes: () => registry.nodes.list(),
    deadLetters: ports.deadLetters,
    bans: ports.bans,
    disconnect: (id) => clients.end(id),
    get draining() {
      return drain.draining;
    },
    drain: drains,
    leave: (withinMs) => drain.leave(withinMs),
    operators,
    delayed: (after, linesMax) => delayed.page(after, linesMax),
    cancelDelayed: (id) => delayed.cancel(id),
    prepareStop: () => ports.prepareStop(),
    async stop() {
      await timers.stop();
      await stores.others?.stop();
      await work.stop();
      await new Promise<void>((resolve) => {
        sessionStore.commit(resolve);
        setTimeout(resolve, settings.stopTimeoutMs / 2).unref();
      });
      await groups.stop();
      await registry.nodes.stop();
      await stores.close();
      auth.close();
    },
  };
}

/** Clients of other nodes read queues: they get QoS 0 only where it is queued. */
function qos0Of(queueQos0: boolean, others: OtherNodes): { readonly isQueued: boolean } {
  return {
    get isQueued() {
      return queueQos0 || others.areThere;
    },
  };
}

function subscriptionsOf(sessions: Iterable<LiveSession>): number {
  let count = 0;
  for (const { stored } of sessions) count += stored.askedCount;
  return count;
}
