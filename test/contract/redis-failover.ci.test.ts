// The connection to a Redis Cluster, and over a failover.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { startRedisCluster } from '../harness/redis/redis-cluster.ts';
import { startRedisSentinel } from '../harness/redis/redis-sentinel.ts';
import { until } from '../harness/redis/until.ts';
import { requireRedis } from '../harness/require.ts';
import { ended, increment, opened, timeoutMs } from './redis-calls.ts';

const needed = requireRedis();

void test(
  'Redis Cluster: keys of many tags, a node that goes and comes back',
  needed,
  async (t) => {
    const cluster = await startRedisCluster();
    t.after(() => cluster.close());
    const connection = await opened(t, cluster.url);
    const keys = new RedisKeys('test');
    const work = Array.from({ length: 300 }, (_, index) =>
      connection.callDurable(increment, [keys.session(`c${index}`, 'n')], ['']),
    );
    for (const reply of await Promise.all(work)) assert.equal(Array.isArray(reply) && reply[1], '');
    const [node] = cluster.nodes;
    await node!.kill9();
    const during = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        ended(connection.call(increment, [keys.session(`c${index}`, 'n')], [''])),
      ),
    );
    assert.ok(during.some(({ outcome }) => outcome === 'done'));
    assert.ok(during.every(({ ms }) => ms < timeoutMs * 1.5));
    await node!.start();
    await cluster.untilWhole();
    const startMs = performance.now();
    for (let index = 0; index < 300; index += 1) {
      const key = keys.session(`c${index}`, 'n');
      const call = async (): Promise<boolean> =>
        (await ended(connection.call(increment, [key], ['']))).outcome === 'done';
      await until(call, 10_000, key);
    }
    t.diagnostic(`all again after ${Math.round(performance.now() - startMs)} ms`);
    node!.pause();
    const paused = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        ended(connection.call(increment, [keys.session(`c${index}`, 'n')], [''])),
      ),
    );
    node!.resume();
    assert.ok(paused.every(({ ms }) => ms < timeoutMs * 1.5));
    await cluster.untilWhole();
    for (let index = 0; index < 30; index += 1) {
      const key = keys.session(`c${index}`, 'n');
      const call = async (): Promise<boolean> =>
        (await ended(connection.call(increment, [key], ['']))).outcome === 'done';
      await until(call, 10_000, key);
    }
  },
);

void test(
  'Sentinel: a failover keeps what was confirmed, and goes on within seconds',
  needed,
  async (t) => {
    const redis = await startRedisSentinel();
    t.after(() => redis.close());
    const connection = await opened(t, redis.url);
    assert.equal(connection.replicas, 1);
    let confirmed = 0;
    for (let index = 0; index < 50; index += 1) {
      const reply = await connection.callDurable(increment, ['k'], ['']);
      confirmed = Array.isArray(reply) ? Number(reply[0]) : 0;
    }
    assert.equal(confirmed, 50);
    redis.replica.pause();
    assert.equal((await ended(connection.callDurable(increment, ['k'], ['']))).outcome, 'unknown');
    redis.replica.resume();
    await redis.master.kill9();
    const startMs = performance.now();
    let reply: unknown;
    await until(
      async () => {
        reply = await connection.callDurable(increment, ['k'], ['']).catch(() => undefined);
        return reply !== undefined;
      },
      20_000,
      'a write after the failover',
    );
    t.diagnostic(`again after ${Math.round(performance.now() - startMs)} ms`);
    assert.ok(Number(Array.isArray(reply) ? reply[0] : 0) > confirmed);
    // The old master comes back as a replica, and writes wait for it.
    await redis.master.start();
    await until(() => Promise.resolve(connection.replicas === 1), 20_000, 'a replica again');
    await connection.callDurable(increment, ['k'], ['']);
  },
);
