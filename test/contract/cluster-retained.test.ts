// Retained messages over several ds: what one has taken, clients of the other find.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { requireRedis } from '../harness/require.ts';
import { closeAllClients, connected } from '../harness/wire.ts';
import { MemoryCluster } from './memory-cluster.ts';

void describe('retained messages of a cluster', requireRedis(), () => {
  let cluster: MemoryCluster;

  before(async () => {
    cluster = await MemoryCluster.start(5, ['ds-1', 'ds-2'], ['cs-1', 'cs-2']);
  });

  after(async () => {
    closeAllClients();
    await cluster.stop();
  });

  void test('[MQTT-3.3.1-5] one at QoS 0 is there when the PINGRESP behind it has come', async () => {
    const [first, second] = cluster.cs.map(({ ports }) => ports.mqtt!);
    const publisher = await connected(first!, { version: 5, clientId: 'publisher' });
    const subscribers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((clientId) => connected(second!, { version: 5, clientId })),
    );
    for (let n = 0; n < 25; n += 1) {
      const topics = subscribers.map((_, index) => `retained/${n}/${index}`);
      for (const topic of topics) publisher.sendPublish({ topic, payload: 'x', retain: true });
      await publisher.ping();
      await Promise.all(
        subscribers.map(async (subscriber, index) => {
          await subscriber.subscribe(topics[index]!, 1);
          const { qos } = await subscriber.receive({ topic: topics[index]!, retain: true });
          assert.equal(qos, 0);
        }),
      );
    }
  });
});
