// A rolling restart of two cs and two ds on Redis and RocketMQ, under 2,000 clients and 2,000
// messages a second. LMQTT_TEST_ROLLING_CLIENTS and LMQTT_TEST_ROLLING_RATE make it smaller or larger.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { advertised } from '../harness/advertised.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { RollingRestart } from './rolling-restart.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const size = {
  clients: Number(process.env['LMQTT_TEST_ROLLING_CLIENTS'] ?? 2000),
  ratePerS: Number(process.env['LMQTT_TEST_ROLLING_RATE'] ?? 2000),
  settleMs: 300_000,
  willsWaitMs: 10_000,
};

void describe('a rolling restart', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster;
  let run: RollingRestart | undefined;

  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    const nodeSettings = await advertised(2);
    const namesrv = rocketmq.namesrv.address;
    const settings = { STOP_TIMEOUT_MS: '30000' };
    cluster = new StoreCluster({ redisUrl: redis.url, namesrv, nodeSettings, settings });
    await cluster.start();
  });
  after(async () => {
    // Clients first: none is on its way to a node when that ends.
    await run?.stop();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  void test('each node in its turn: nothing is lost, doubled or told', async (t) => {
    run = new RollingRestart(
      size,
      cluster.cs.map((node) => node.port('mqtt')),
    );
    const say = (line: string): void => t.diagnostic(line);
    await run.start();
    await run.restart([...cluster.cs, ...cluster.ds], say);
    assert.ok(run.figures.referred > 0, 'clients were told of the other node');
    await run.settle(say);
  });
});
