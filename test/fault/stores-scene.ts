// The cluster under a fault on real stores: Redis, RocketMQ, two ds and two cs, a proxy on every
// way that a fault may cut, and the run with its ledger. The servers serve one scene after another.
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../harness/free-port.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { type Party, SortingProxy } from '../harness/sorting-proxy.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import type { Random } from './random.ts';
import { StoresRun } from './stores-run.ts';

/**
 * Host at which the ways that can be cut begin: an address of the loopback on which nobody else
 * listens.
 */
const proxiesHost = '127.0.0.2';
const dsNames = ['ds-1', 'ds-2'] as const;
const csNames = ['cs-1', 'cs-2'] as const;
const pollMs = 20;

export interface StoreServers {
  readonly redis: RedisServer;
  readonly rocketmq: RocketmqCluster;
  /** Between each ds and the broker. */
  readonly brokerWays: SortingProxy | undefined;
}

/** Servers with ways that can be cut, or without. */
export async function startServers(withWays: boolean): Promise<StoreServers> {
  const broker = { heapMb: 640, ...(withWays ? { announcedHost: proxiesHost } : {}) };
  const [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ brokers: [broker] })]);
  const { port } = rocketmq.broker();
  const target = { host: '127.0.0.1', port };
  const brokerWays = withWays
    ? await SortingProxy.start(target, dsNames, { host: proxiesHost, port })
    : undefined;
  return { redis, rocketmq, brokerWays };
}

export async function stopServers({ redis, rocketmq, brokerWays }: StoreServers): Promise<void> {
  await brokerWays?.stop();
  await Promise.all([redis.close(), rocketmq.close()]);
}

/** Somebody listens there. */
export async function portOpens(port: number, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  const tries = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  while (!(await tries())) {
    if (performance.now() > endMs) throw new Error(`nobody listens on ${port}`);
    await delay(pollMs);
  }
}

export interface SceneOptions {
  readonly rate: number;
  readonly leaseMs: number;
  readonly shared: boolean;
  readonly zones?: number;
}

export class Scene {
  readonly servers: StoreServers;
  readonly cluster: StoreCluster;
  readonly run: StoresRun;
  readonly #redisWays: ReadonlyMap<string, TcpProxy>;
  readonly #linkWays: ReadonlyMap<string, SortingProxy>;

  private constructor(
    servers: StoreServers,
    cluster: StoreCluster,
    run: StoresRun,
    redisWays: ReadonlyMap<string, TcpProxy>,
    linkWays: ReadonlyMap<string, SortingProxy>,
  ) {
    this.servers = servers;
    this.cluster = cluster;
    this.run = run;
    this.#redisWays = redisWays;
    this.#linkWays = linkWays;
  }

  /** A cluster of its own on these servers, all clients there. */
  static async open(servers: StoreServers, options: SceneOptions, random: Random): Promise<Scene> {
    const redisWays = new Map<string, TcpProxy>();
    const linkWays = new Map<string, SortingProxy>();
    const nodeSettings: Record<string, Record<string, string>> = {};
    for (const name of servers.brokerWays === undefined ? [] : dsNames) {
      const redisWay = await TcpProxy.start({ host: '127.0.0.1', port: servers.redis.port });
      redisWays.set(name, redisWay);
      const port = await freePort();
      const at = { host: proxiesHost, port };
      linkWays.set(name, await SortingProxy.start({ host: '127.0.0.1', port }, csNames, at));
      nodeSettings[name] = {
        REDIS_URL: `redis://127.0.0.1:${redisWay.port}`,
        RPC_PORT: String(port),
        RPC_ADVERTISE: `${proxiesHost}:${port}`,
      };
    }
    const cluster = new StoreCluster({
      redisUrl: servers.redis.url,
      namesrv: servers.rocketmq.namesrv.address,
      settings: {
        LOG_LEVEL: process.env['FAULT_LOG_LEVEL'] ?? 'warn',
        LEASE_MS: String(options.leaseMs),
        // Clients that come while Redis is away are told so, and come again.
        CONNECT_WAIT_MS: '5s',
      },
      nodeSettings,
    });
    const parties = (nodes: StoreCluster['nodes']): Party[] =>
      nodes.map((node) => ({ name: node.name, pid: () => node.process.pid }));
    if (servers.brokerWays !== undefined) servers.brokerWays.parties = parties(cluster.ds);
    for (const way of linkWays.values()) way.parties = parties(cluster.cs);
    const run = new StoresRun(cluster, options, random);
    const scene = new Scene(servers, cluster, run, redisWays, linkWays);
    try {
      await cluster.start();
      await run.start();
    } catch (error) {
      const logs = cluster.logs();
      await scene.close().catch(() => undefined);
      throw new Error(`the scene does not open\n${logs.slice(-logCharacters)}`, { cause: error });
    }
    return scene;
  }

  redisWay(ds: string): TcpProxy {
    return found(this.#redisWays.get(ds));
  }

  brokerWay(ds: string): TcpProxy {
    return found(this.servers.brokerWays).way(ds);
  }

  linkWay(cs: string, ds: string): TcpProxy {
    return found(this.#linkWays.get(ds)).way(cs);
  }

  /** The exit code of the cluster. */
  async close(): Promise<number | null> {
    try {
      await this.run.stop();
      return await this.cluster.stop();
    } finally {
      for (const way of this.#redisWays.values()) {
        way.heal();
        await way.stop();
      }
      for (const way of this.#linkWays.values()) await way.stop();
    }
  }
}

const logCharacters = 20_000;

function found<T>(way: T | undefined): T {
  if (way === undefined) throw new Error('these servers have no ways that can be cut');
  return way;
}
