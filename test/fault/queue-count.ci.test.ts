// Publishers go on when a topic of RocketMQ gets fewer queues, or more.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { WatchedBroker } from './watched-broker.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
/** Shorter than a placement takes that every ds has to know before it counts. */
const goesOnMs = 5000;

void describe('the number of queues of a topic', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let watched: WatchedBroker;

  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    watched = new WatchedBroker(redis, rocketmq, 2);
    await watched.start();
  });
  after(async () => {
    await watched?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  for (const [from, to] of [
    [4, 1],
    [1, 3],
    [3, 2],
  ] as const) {
    void test(`${from} queues become ${to} under load: publishers go on`, async (t) => {
      const goingOn = await watched.setQueues(to);
      for (const { name, firstMs, allMs } of goingOn)
        t.diagnostic(`${name}: each topic after ${firstMs} ms, all after ${allMs} ms`);
      const { lost, doubled, disordered, problems } = await watched.settle();
      assert.deepEqual([...problems, ...watched.disturbances], []);
      assert.deepEqual({ lost, doubled, disordered }, { lost: 0, doubled: 0, disordered: 0 });
      for (const { name, firstMs } of goingOn)
        assert.ok(firstMs < goesOnMs, `${name}: ${firstMs} ms`);
    });
  }
});
