import { after, before } from 'node:test';
import { requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { queueStoreContract, type StoreUnderTest } from './queue-store.ts';
import { openStore, StoreSurroundings } from './rocketmq-store.ts';

const needed = requireRocketmq();
let cluster: RocketmqCluster;
let stores = 0;

before(async () => {
  if (needed.skip === false) cluster = await startRocketmq();
});

after(() => cluster?.close());

async function open(around: StoreSurroundings): Promise<StoreUnderTest> {
  const opened = await openStore(cluster, around);
  return {
    store: opened.store,
    restart: async () => {
      await opened.close();
      return open(around);
    },
    close: () => opened.close(),
  };
}

queueStoreContract('RocketMQ', (t) => {
  if (needed.skip !== false) t.skip(needed.skip);
  stores += 1;
  return open(new StoreSurroundings(`contract${stores}`));
});
