import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { startRedisCluster } from './redis/redis-cluster.ts';
import { startRedisSentinel } from './redis/redis-sentinel.ts';
import { startRedis } from './redis/redis-server.ts';
import { requireRedis } from './require.ts';

const needed = requireRedis();

test('what was written is there after kill -9, restart and a pause', needed, async (t) => {
  const redis = await startRedis({ password: 'secret' });
  t.after(() => redis.close());
  assert.match(redis.url, /^redis:\/\/:secret@127\.0\.0\.1:\d+$/);
  assert.equal(await redis.command('set', 'a', '1'), 'OK');
  await redis.kill9();
  await redis.start();
  await redis.restart();
  redis.pause();
  const answer = redis.command('get', 'a');
  redis.resume();
  assert.equal(await answer, '1');
  await redis.close();
  assert.equal(existsSync(redis.folder), false);
});

test('a user with a password is the only one there is', needed, async (t) => {
  const redis = await startRedis({ user: 'lmqtt', password: 'secret' });
  t.after(() => redis.close());
  assert.equal(await redis.command('set', 'a', '1'), 'OK');
  assert.match(await redis.command('acl', 'list'), /user default off/);
});

test('three nodes of a cluster serve all slots', needed, async (t) => {
  const cluster = await startRedisCluster();
  t.after(() => cluster.close());
  const said = await cluster.nodes[0]?.command('cluster', 'info');
  assert.match(said ?? '', /cluster_slots_ok:16384/);
});

test('sentinels put the replica in the place of a killed master', needed, async (t) => {
  const redis = await startRedisSentinel({ sentinels: 3 });
  t.after(() => redis.close());
  assert.equal(await redis.masterPort(), redis.master.port);
  await redis.master.kill9();
  await redis.untilMaster(redis.replica);
  await redis.master.start();
  await redis.untilMaster(redis.replica);
});
