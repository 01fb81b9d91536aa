import type { TestContext } from 'node:test';
import { nodeId, type NodeId } from '@lmqtt/common/ids';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import type { DsMessage, Inbox } from '@lmqtt/ds/registry/inbox';
import { RedisSessionStore } from '@lmqtt/ds/session-store/redis/redis-session-store';
import { noSessionsMax, type SessionsMax } from '@lmqtt/ds/session-store/session-counts';
import type { Presentation } from '@lmqtt/ds/session-store/session-store';
import { startRedisCluster } from '../harness/redis/redis-cluster.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import type { CheckedStore, SessionStoreUnderTest } from './session-store.ts';

/** A Redis of the suite, which all its tests share, each as a cluster of its own. */
export class SessionRedis {
  readonly url: string;
  readonly servers: readonly RedisServer[];
  readonly #close: () => Promise<void>;
  #clusters = 0;

  constructor(url: string, servers: readonly RedisServer[], close: () => Promise<void>) {
    this.url = url;
    this.servers = servers;
    this.#close = close;
  }

  static async single(): Promise<SessionRedis> {
    const server: RedisServer = await startRedis();
    return new SessionRedis(server.url, [server], () => server.close());
  }

  static async cluster(): Promise<SessionRedis> {
    const cluster = await startRedisCluster();
    return new SessionRedis(cluster.url, cluster.nodes, () => cluster.close());
  }

  newClusterId(): string {
    this.#clusters += 1;
    return `c${this.#clusters}`;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/** Inboxes of ds nodes of one test. */
export class Inboxes {
  readonly #listeners = new Map<NodeId, ((from: NodeId, message: DsMessage) => void)[]>();

  of(ds: NodeId): Inbox {
    return {
      send: (to, message) => {
        setImmediate(() => {
          for (const listener of this.#listeners.get(to) ?? []) listener(ds, message);
        });
      },
      onMessage: (listener) => {
        this.#listeners.set(ds, [...(this.#listeners.get(ds) ?? []), listener]);
      },
    };
  }
}

export interface OpenStore {
  readonly store: RedisSessionStore;
  readonly redis: RedisConnection;
  close(): void;
}

export async function openStore(
  url: string,
  clusterId: string,
  ds: string,
  inboxes: Inboxes = new Inboxes(),
  commandTimeoutMs: number = 2000,
  sessionsMax: SessionsMax = noSessionsMax,
): Promise<OpenStore> {
  const redis = await openRedis({ url, commandTimeoutMs });
  const store = new RedisSessionStore({
    redis,
    keys: new RedisKeys(clusterId),
    ds: nodeId(ds),
    inbox: inboxes.of(nodeId(ds)),
    waitMs: commandTimeoutMs,
    sessionsMax,
    takenMs: 500,
  });
  const close = (): void => {
    store.close();
    redis.close();
  };
  return { store, redis, close };
}

interface ClusterUnderTest extends SessionStoreUnderTest {
  readonly store: RedisSessionStore;
}

/** A crash of the ds and of all nodes, save the one that presents sessions to the next ds. */
export async function underTest(
  t: TestContext,
  at: SessionRedis,
  clusterId: string = at.newClusterId(),
  sessionsMax: SessionsMax = noSessionsMax,
): Promise<SessionStoreUnderTest> {
  const nodes = ['cs'];
  const under = async (): Promise<ClusterUnderTest> => {
    const open = await openStore(at.url, clusterId, 'ds', new Inboxes(), 2000, sessionsMax);
    t.after(() => open.close());
    return {
      store: open.store,
      crash: async (before = () => undefined) => {
        open.close();
        const next = await under();
        const gone = [...nodes];
        const survivor = `cs-${nodes.length}`;
        nodes.push(survivor);
        await before(presentingAs(next.store, nodeId(survivor)));
        for (const node of gone) await next.store.endNode(nodeId(node), 0);
        return next;
      },
      close: async () => open.close(),
    };
  };
  return under();
}

function presentingAs(store: CheckedStore, node: NodeId): CheckedStore {
  const present = (one: Presentation): ReturnType<CheckedStore['present']> =>
    store.present({ ...one, node });
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'present') return present;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
