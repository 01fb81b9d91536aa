// The begin of a rolling restart, under fifty clients: a cs and a ds, one after the other. All nodes,
// and wills whose time has passed: test/fault/rolling-restart.long.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advertised } from '../harness/advertised.ts';
import { Cluster, direct } from '../harness/cluster.ts';
import { isCluster, isSplit } from '../harness/shape.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { RollingRestart } from '../fault/rolling-restart.ts';

const size = { clients: 50, ratePerS: 100, settleMs: 120_000, willsWaitMs: 0 };

async function started(): Promise<Cluster | StoreCluster> {
  const nodeSettings = await advertised(2);
  if (isCluster) {
    const { LMQTT_TEST_REDIS_URL: redisUrl = '', LMQTT_TEST_NAMESRV: namesrv = '' } = process.env;
    return new StoreCluster({ redisUrl, namesrv, nodeSettings });
  }
  const cluster = new Cluster({ between: direct });
  for (const settings of Object.values(nodeSettings)) await cluster.add(settings);
  return cluster;
}

const skip = isSplit ? false : 'nodes that restart in turn are of a cluster';

void test('a rolling restart loses, doubles and tells nothing', { skip }, async (t) => {
  const cluster = await started();
  let run: RollingRestart | undefined = undefined;
  // Clients first: none is on its way to a node when that ends.
  t.after(async () => {
    await run?.stop();
    await cluster.stop();
  });
  await cluster.start();
  await cluster.untilReady();
  run = new RollingRestart(
    size,
    cluster.cs.map((node) => node.port('mqtt')),
  );
  const say = (line: string): void => t.diagnostic(line);
  await run.start();
  const ds = cluster.nodes.find(({ name }) => name.startsWith('ds-'));
  await run.restart([cluster.cs[0]!, ds!], say);
  assert.ok(run.figures.referred > 0, 'clients were told of the other node');
  await run.settle(say);
});
