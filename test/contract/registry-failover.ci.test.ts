// The registry on a Redis Cluster, and over a failover.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRedisCluster } from '../harness/redis/redis-cluster.ts';
import { startRedisSentinel } from '../harness/redis/redis-sentinel.ts';
import { requireRedis } from '../harness/require.ts';
import { registryUnderTest } from './redis-registry.ts';
import { eventually } from './registry-ds.ts';

const needed = requireRedis();

test('three masters: openings are known on every ds', needed, async (t) => {
  const redis = await startRedisCluster();
  t.after(() => redis.close());
  const under = registryUnderTest(t, redis.nodes[0]!, redis.url);
  const [a, b] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
  await a.joinCs('cs');
  for (let n = 0; n < 20; n += 1) {
    const [one, other] = n % 2 === 0 ? [a, b] : [b, a];
    assert.ok(other.queues.has(await one.open(`t/${n}`, { node: 'cs', holder: 'client' })));
  }
  const [owned] = await b.registry.ownership.acquire(['tail']);
  assert.equal(owned?.owner, 'b');
});

test('a failover: what was opened stays, nobody is judged', needed, async (t) => {
  const redis = await startRedisSentinel();
  t.after(() => redis.close());
  const under = registryUnderTest(t, redis.master, redis.url);
  const [a, b] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
  await eventually(() => a.registry.nodes.ds.length === 2, 'both');
  let unknown = 0;
  const openUntil = async (over: () => boolean): Promise<void> => {
    for (let n = a.holds.length; !over(); n += 1) {
      const queue = await a.hold(`t/${n}`, { holder: 'client' });
      // Without a lease it is not waited for, and serves nobody.
      const serves = b.registry.nodes.leaseEndsMs > performance.now();
      if (serves && !b.queues.has(queue)) unknown += 1;
    }
  };
  await openUntil(() => a.holds.length >= 50);
  await redis.master.kill9();
  const before = a.holds.length;
  await openUntil(() => a.holds.length >= before + 50);
  await eventually(() => [a, b].every((ds) => ds.leases.at(-1) === true), 'leases');
  for (const { queue, name } of a.holds) assert.equal(b.queues.get(queue), name);
  assert.equal(unknown, 0);
  assert.deepEqual([a.ended, b.ended], [[], []]);
});
