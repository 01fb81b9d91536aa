// The knowledge of cs about ds nodes, from the registry that these keep in Redis.
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openLogs } from '@lmqtt/common/log';
import { RedisDirectory } from '@lmqtt/cs/link/redis-directory';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { eventually } from './registry-ds.ts';
import { type RedisRegistryUnderTest, registryUnderTest } from './redis-registry.ts';

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());

  const open = async (t: TestContext, under: RedisRegistryUnderTest) => {
    const logs = await openLogs({ level: 'silent' });
    const { clusterId } = under;
    const directory = new RedisDirectory({
      redis: { url: redis.url, commandTimeoutMs: 1000 },
      clusterId,
      log: logs.broker,
      pollMs: 20,
    });
    t.after(() => directory.close());
    return directory;
  };
  const ids = (directory: RedisDirectory): string =>
    directory
      .nodes()
      .map(({ id, draining }) => (draining ? `(${id})` : id))
      .join(' ');

  test('ds nodes come, drain, leave and are judged', async (t) => {
    const under = registryUnderTest(t, redis);
    const directory = await open(t, under);
    let changes = 0;
    const stop = directory.onChange(() => {
      changes += 1;
    });
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    await a.joinCs('cs');
    await eventually(() => ids(directory) === 'a b', 'both');
    const host = '127.0.0.1';
    assert.deepEqual(directory.nodes()[0], { id: 'a', host, port: 1, draining: false });
    await b.registry.nodes.drain();
    await eventually(() => ids(directory) === 'a (b)', 'b drains');
    await b.registry.nodes.stop();
    await eventually(() => ids(directory) === 'a', 'b left');
    stop();
    const seen = changes;
    const c = await (await under.ds('c')).start();
    await eventually(() => ids(directory) === 'a c', 'c came');
    c.registry.close();
    await eventually(() => ids(directory) === 'a', 'c was judged');
    assert.equal(changes, seen);
    assert.ok(seen >= 3);
  });

  test('the last list stays while Redis is away, and over its loss', async (t) => {
    const under = registryUnderTest(t, redis);
    const directory = await open(t, under);
    for (const id of ['a', 'b']) await (await under.ds(id)).start();
    await eventually(() => ids(directory) === 'a b', 'both');
    const lists = new Set<string>();
    directory.onChange(() => lists.add(ids(directory)));
    await redis.command('flushall');
    await delay(1000);
    redis.pause();
    await delay(2000);
    redis.resume();
    await delay(500);
    await redis.kill9();
    await delay(500);
    await redis.start();
    await (await under.ds('c')).start();
    await eventually(() => ids(directory) === 'a b c', 'c is seen');
    assert.deepEqual([...lists], ['a b c']);
  });
}
