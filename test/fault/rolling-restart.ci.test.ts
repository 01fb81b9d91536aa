// A rolling restart under a hundred clients: in a cluster two cs and two ds, in the split shape the
// one ds and its two cs.
import { test } from 'node:test';
import { advertised } from '../harness/advertised.ts';
import { Cluster, direct } from '../harness/cluster.ts';
import { isCluster, isSplit } from '../harness/shape.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { RollingRestart } from './rolling-restart.ts';

const size = { clients: 100, ratePerS: 100, settleMs: 120_000 };

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
  t.after(() => cluster.stop());
  await cluster.start();
  await cluster.untilReady();
  const run = new RollingRestart(
    size,
    cluster.cs.map((node) => node.port('mqtt')),
  );
  t.after(() => run.stop());
  const say = (line: string): void => t.diagnostic(line);
  await run.start();
  await run.restart([...cluster.cs, ...cluster.nodes.filter(isDs)], say);
  await run.settle(say);
});

function isDs({ name }: { readonly name: string }): boolean {
  return name.startsWith('ds-');
}
