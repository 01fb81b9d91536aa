// QoS 2 goes on as soon as QoS 1 does when a broker of RocketMQ was killed and comes back.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { WatchedBroker } from './watched-broker.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
/**
 * A send may wait so long at the broker: who does not see that it was started anew waits as long.
 */
const sendQueueMs = 30_000;
const behindMs = 10_000;

void describe('a broker that is killed and comes back', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let watched: WatchedBroker;

  before(async () => {
    const broker = { sendThreads: 1, conf: { waitTimeMillsInSendQueue: sendQueueMs } };
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ brokers: [broker] })]);
    watched = new WatchedBroker(redis, rocketmq);
    await watched.start();
  });
  after(async () => {
    await watched?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  void test('QoS 2 goes on with QoS 1, nobody is refused, nothing else is stored', async (t) => {
    const goingOn = await watched.kill();
    for (const { name, firstMs, allMs } of goingOn)
      t.diagnostic(`${name}: each topic after ${firstMs} ms, all after ${allMs} ms`);
    const first = Math.max(...goingOn.filter(({ qos }) => qos === 1).map((each) => each.firstMs));
    for (const { name, allMs } of goingOn)
      assert.ok(allMs < first + behindMs, `${name}: ${allMs} ms, QoS 1: ${first} ms`);
    const { lost, doubled, disordered, problems } = await watched.settle();
    assert.deepEqual([...problems, ...watched.disturbances], []);
    assert.deepEqual({ lost, doubled, disordered }, { lost: 0, doubled: 0, disordered: 0 });
    await watched.assertNothingElseIsStored();
  });
});
