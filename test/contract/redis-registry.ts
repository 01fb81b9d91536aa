// The registry on Redis under test: a Redis for the file, a cluster id for each test, and a proxy
// before each ds.
import type { TestContext } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { openLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { openRedisRegistry } from '@lmqtt/ds/registry/redis/registry';
import { RegistryEvents } from '@lmqtt/ds/registry/redis/registry-events';
import type { RedisServer } from '../harness/redis/redis-server.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { leaseMs, type RegistryUnderTest, TestDs } from './registry-ds.ts';

export interface RedisRegistryUnderTest extends RegistryUnderTest {
  readonly redis: RedisServer;
  readonly clusterId: string;
  readonly keys: RedisKeys;
  connectionOf(ds: TestDs): RedisConnection;
  /** Messages on their way to this ds are lost with its connections. */
  cut(ds: TestDs): void;
  /** Log lines of all ds nodes. */
  readonly lines: readonly string[];
}

let clusters = 0;

export function registryUnderTest(
  t: TestContext,
  redis: RedisServer,
  /** Otherwise through a proxy to the server. */
  direct?: string,
): RedisRegistryUnderTest {
  clusters += 1;
  const clusterId = `test-${clusters}`;
  const keys = new RedisKeys(clusterId);
  const proxies = new Map<TestDs, TcpProxy>();
  const connections = new Map<TestDs, RedisConnection>();
  const lines: string[] = [];
  return {
    redis,
    clusterId,
    keys,
    lines,
    connectionOf: (ds) => connections.get(ds)!,
    async ds(id, instance) {
      const proxy = await TcpProxy.start({ host: redis.host, port: redis.port });
      const url = direct ?? `redis://127.0.0.1:${proxy.port}`;
      const connection = await openRedis({ url, commandTimeoutMs: 2000 });
      const logs = await openLogs({ level: 'info', stream: { write: (line) => lines.push(line) } });
      const events = new RegistryEvents(logs, new Metrics());
      const registry = await openRedisRegistry({
        redis: connection,
        keys,
        clock: systemClock,
        leaseMs,
        events,
        detoursMax: 3,
      });
      const ds = new TestDs(id, registry, instance);
      proxies.set(ds, proxy);
      connections.set(ds, connection);
      t.after(async () => {
        registry.close();
        connection.close();
        proxy.heal();
        proxy.close();
        await proxy.stop();
      });
      return ds;
    },
    cut: (ds) => proxies.get(ds)!.cut(),
    partition: (ds) => proxies.get(ds)!.partition(),
    heal: (ds) => proxies.get(ds)!.heal(),
  };
}
