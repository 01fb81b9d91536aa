// Twenty watcheds of a broker of RocketMQ, one behind the other, under publishers of QoS 1 and 2.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { WatchedBroker } from './watched-broker.ts';
import { describeFigures } from './ledger.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const kills = 20;

for (const sendThreads of [1, 2]) {
  void describe(`a broker with ${sendThreads} send threads dies ${kills} times`, { skip }, () => {
    let redis: RedisServer;
    let rocketmq: RocketmqCluster;
    let watched: WatchedBroker;

    before(async () => {
      const starts = startRocketmq({ brokers: [{ sendThreads }] });
      [redis, rocketmq] = await Promise.all([startRedis(), starts]);
      watched = new WatchedBroker(redis, rocketmq);
      await watched.start();
    });
    after(async () => {
      await watched?.stop();
      await Promise.all([redis?.close(), rocketmq?.close()]);
    });

    void test('nothing is lost, doubled at QoS 2 or out of order', async (t) => {
      for (let kill = 1; kill <= kills; kill += 1) {
        const goingOn = await watched.kill();
        const last = (qos: 1 | 2): number =>
          Math.max(...goingOn.filter((each) => each.qos === qos).map(({ allMs }) => allMs));
        const figures = await watched.settle();
        t.diagnostic(
          `${kill}: QoS 1 ${last(1)} ms, QoS 2 ${last(2)} ms, ${describeFigures(figures)}`,
        );
        const { lost, doubled, disordered, problems } = figures;
        assert.deepEqual([...problems, ...watched.disturbances], []);
        assert.deepEqual({ lost, doubled, disordered }, { lost: 0, doubled: 0, disordered: 0 });
      }
      await watched.assertNothingElseIsStored();
    });
  });
}
