// A cluster of several ds and cs in this process: real Redis, real streams between them, and a
// queue store in memory, of which each ds has its own view. Arrivals are told to one ds.
import { systemClock } from '@lmqtt/common/clock';
import { nodeId } from '@lmqtt/common/ids';
import { openLogs, silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type { Message } from '@lmqtt/common/message';
import { readSettings } from '@lmqtt/common/settings/read';
import { ClusterGroups } from '@lmqtt/ds/cluster/groups/cluster-groups';
import { type ClusterDsService, startClusterDs } from '@lmqtt/ds/cluster-service';
import { RedisBanStore } from '@lmqtt/ds/ban-store/redis/redis-ban-store';
import { RedisDelayedStore } from '@lmqtt/ds/delayed-store/redis/redis-delayed-store';
import { DsEvents } from '@lmqtt/ds/events';
import { RedisGroupStore } from '@lmqtt/ds/group-store/redis/redis-group-store';
import { openRedis } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { openRedisRegistry } from '@lmqtt/ds/registry/redis/registry';
import { RegistryEvents } from '@lmqtt/ds/registry/redis/registry-events';
import { RedisRetainedStore } from '@lmqtt/ds/retained-store/redis/redis-retained-store';
import { RpcEvents } from '@lmqtt/ds/rpc/rpc-events';
import { type RpcServer, startRpc } from '@lmqtt/ds/rpc/rpc-server';
import { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import { RedisAbsentMembers } from '@lmqtt/ds/session-store/redis/absent-members';
import { startCsProcess } from '@lmqtt/standalone/cs-process';
import type { RunningProgram } from '@lmqtt/standalone/program';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { AwkwardQueueStore } from './awkward-queue-store.ts';
import { noRetries } from './no-retries.ts';

export interface MemoryDs {
  readonly id: string;
  readonly service: ClusterDsService;
  readonly rpc: RpcServer;
  /** To Redis. */
  readonly way: TcpProxy;
  /** As a kill would: cs and Redis lose it at once, and it says nothing to anybody. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const leaseMs = 3000;
const clusterId = 'cluster';

export class MemoryCluster {
  readonly redis: RedisServer;
  readonly store: AwkwardQueueStore;
  readonly ds: MemoryDs[] = [];
  readonly cs: RunningProgram[] = [];
  readonly #listeners: { readonly id: string; readonly take: (messages: Message[]) => void }[] = [];
  readonly #lines: string[] = [];

  private constructor(redis: RedisServer, seed: number) {
    this.redis = redis;
    this.store = new AwkwardQueueStore(seed);
    this.store.onArrivals((messages) => this.#listeners[0]?.take(messages));
  }

  static async start(
    seed: number,
    ds: readonly string[],
    cs: readonly string[],
  ): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(await startRedis(), seed);
    for (const id of ds) await cluster.startDs(id);
    const addresses = cluster.ds.map(({ rpc }) => `127.0.0.1:${rpc.port}`).join(',');
    for (const id of cs) {
      const args = ['--node-id', id, '--ds', addresses, '--mqtt-port', '0', '--ws-port', 'off'];
      const rest = ['--ops-port', 'off', '--log-level', 'fatal', '--cluster-id', clusterId];
      const environment = { REDIS_URL: cluster.redis.url };
      const settings = readSettings({ args: [...args, ...rest], environment }, 'cs');
      cluster.cs.push(await startCsProcess(settings));
    }
    return cluster;
  }

  /** Log lines of ds nodes. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  async startDs(id: string): Promise<MemoryDs> {
    const args = ['--node-id', id, '--lease-ms', String(leaseMs), '--sys-interval-s', '0'];
    const more = ['--allow-anonymous', 'true', '--rpc-port', '0', '--cluster-id', clusterId];
    const proxy = await TcpProxy.start({ host: this.redis.host, port: this.redis.port });
    const environment = { REDIS_URL: this.redis.url, NAMESRV_ADDR: 'none:1' };
    const settings = readSettings({ args: [...args, ...more], environment }, 'ds');
    const stream = { write: (line: string) => this.#lines.push(`${id} ${line}`) };
    const logs = await openLogs({ level: 'info', stream });
    const metrics = new Metrics();
    const events = new DsEvents(logs, metrics);
    const { store } = this;
    const service = await startClusterDs({
      settings,
      events,
      metrics,
      version: 'test',
      isHeard: (lane): boolean => rpc.isHeard(lane),
      openStores: async (routes) => {
        const redis = await openRedis({ url: `redis://127.0.0.1:${proxy.port}` });
        const keys = new RedisKeys(clusterId);
        const registryEvents = new RegistryEvents(silentLogs(), new Metrics());
        const clock = systemClock;
        const registry = await openRedisRegistry({
          redis,
          keys,
          clock,
          leaseMs,
          events: registryEvents,
          detoursMax: 100,
        });
        const { nodes, inbox, ownership, routeLog } = registry;
        const self = nodeId(id);
        const queueStore = this.#viewOf(id);
        const sessionStore = new RedisSessionStore({ redis, keys, ds: self, inbox });
        return {
          registry,
          sessionStore,
          retained: await RedisRetainedStore.open(redis, keys, {
            messagesMax: 1000,
            bytesMax: 1e7,
          }),
          delayed: new RedisDelayedStore({
            ...{ redis, keys, intents: sessionStore.intents, takenMs: 2 * leaseMs },
            limits: { messagesMax: 1000, bytesMax: 1e7 },
          }),
          banStore: await RedisBanStore.open(redis, keys, { bansMax: 100 }),
          queueStore,
          retryQueue: noRetries,
          placeOf: (name) => ({ own: name }),
          start: () => Promise.resolve(),
          dropPlace: async (place) => {
            for (const queue of routes.queues)
              if (queue.place === place) await store.drop(queue.id);
          },
          sweepRetained: () => Promise.resolve(),
          groups: (ports) =>
            new ClusterGroups({
              ...ports,
              self,
              groupStore: new RedisGroupStore(redis, keys),
              absentMembers: new RedisAbsentMembers(redis, keys),
              ownership,
              inbox,
              nodes,
              routeLog,
              queueStore,
              readMessages: 64,
            }),
          failure: null,
          gatherMs: 0,
          close: () => {
            registry.close();
            redis.close();
            return Promise.resolve();
          },
        };
      },
    });
    const rpcEvents = new RpcEvents(logs, metrics, systemClock);
    const { admission } = service;
    const rpc = await startRpc({ settings, admission, events: rpcEvents, clock: systemClock });
    await service.join(`127.0.0.1:${rpc.port}`);
    const over = (): void => {
      const at = this.#listeners.findIndex((listener) => listener.id === id);
      if (at >= 0) this.#listeners.splice(at, 1);
      if (this.ds.includes(ds)) this.ds.splice(this.ds.indexOf(ds), 1);
    };
    const ds: MemoryDs = {
      id,
      service,
      rpc,
      way: proxy,
      kill: async () => {
        over();
        proxy.partition();
        await rpc.stop();
        await service.stop();
        proxy.close();
        await proxy.stop();
      },
      stop: async () => {
        over();
        await rpc.stop();
        await service.stop();
        proxy.close();
        await proxy.stop();
      },
    };
    this.ds.push(ds);
    return ds;
  }

  async stop(): Promise<void> {
    for (const program of this.cs) await program.stop();
    for (const one of [...this.ds]) await one.stop();
    this.store.close();
    await this.redis.close();
  }

  #viewOf(id: string): AwkwardQueueStore {
    const { store } = this;
    return Object.assign(Object.create(store) as AwkwardQueueStore, {
      append: store.append.bind(store),
      read: store.read.bind(store),
      ends: store.ends.bind(store),
      partitions: store.partitions.bind(store),
      drop: store.drop.bind(store),
      outcome: store.outcome.bind(store),
      onLost: () => {},
      trim: () => {},
      onArrivals: (take: (messages: Message[]) => void) => this.#listeners.push({ id, take }),
    });
  }
}
