// Delayed messages and presence in a cluster: Redis keeps what waits, one ds publishes it, and
// another does when that one dies.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';
import { MemoryCluster } from './memory-cluster.ts';

const lasting = {
  version: 5,
  clean: false,
  properties: { sessionExpiryInterval: 600 },
} as const;
const hour = { userProperties: [['lmqtt-delay', '3600']] } as const;

void describe('delayed messages of a cluster', () => {
  let cluster: MemoryCluster;
  before(async () => {
    cluster = await MemoryCluster.start(7, ['ds-1', 'ds-2', 'ds-3'], ['cs-1', 'cs-2']);
  });

  after(async () => {
    closeAllClients();
    await cluster.stop();
  });

  const client = (fields: Parameters<typeof connected>[1], cs = 0): Promise<RawClient> =>
    connected(cluster.cs[cs]!.ports.mqtt!, fields);

  const waiting = async (topic: string): Promise<number> => {
    const lines = await cluster.ds[0]!.service.delayed(undefined, 1000);
    return lines.filter((line) => line.topic === topic).length;
  };

  void test('come at every QoS, and are listed and cancelled at any ds', async () => {
    const topic = unique('later');
    const subscriber = await client({ version: 5 }, 1);
    await subscriber.subscribe(topic, 2);
    const publisher = await client({ version: 5 });
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(`$delayed/1/${topic}`, `QoS ${qos}`, { qos });
      await subscriber.receive({ topic, payload: `QoS ${qos}`, qos });
    }
    await publisher.publish(topic, 'hour', { qos: 1, properties: hour });
    assert.equal(await waiting(topic), 1);
    const lines = await cluster.ds[1]!.service.delayed(undefined, 1000);
    const { id } = lines.find((line) => line.topic === topic)!;
    assert.equal(await cluster.ds[2]!.service.cancelDelayed(id), true);
    assert.equal(await cluster.ds[1]!.service.cancelDelayed(id), false);
    assert.equal(await waiting(topic), 0);
  });

  void test('a QoS 2 publish that is sent again waits once, and its identifier is free then', async () => {
    const topic = unique('once');
    const fields = { ...lasting, clientId: unique('c') } as const;
    const publish = { topic, payload: 'x', qos: 2, packetId: 7, properties: hour } as const;
    const first = await client(fields);
    first.sendPublish(publish);
    await first.expect('pubrec', { packetId: 7, reason: 0 });
    first.destroy();
    const again = await client({ ...fields, sessionPresent: true }, 1);
    again.sendPublish({ ...publish, dup: true });
    await again.expect('pubrec', { packetId: 7, reason: 0 });
    again.sendAck('pubrel', 7);
    await again.expect('pubcomp', { packetId: 7 });
    assert.equal(await waiting(topic), 1);
    again.sendPublish(publish);
    await again.expect('pubrec', { packetId: 7, reason: 0 });
    assert.equal(await waiting(topic), 2);
  });

  void test('are published once, and in order, over the death of ds nodes', async () => {
    const topic = unique('death');
    const subscriber = await client({ ...lasting, clientId: unique('s') }, 1);
    await subscriber.subscribe(topic, 2);
    const publisher = await client({ ...lasting, clientId: unique('p') });
    const count = 60;
    const at = new Date(Date.now() + 6000).toISOString();
    const properties = { userProperties: [['lmqtt-at', at]] } as const;
    for (let number = 0; number < count; number += 1)
      await publisher.publish(topic, String(number), { qos: 2, properties });
    // Two of three: whoever has the timers is among them, or the one that is left.
    await cluster.ds[0]!.kill();
    await cluster.ds[0]!.kill();
    for (let number = 0; number < count; number += 1)
      await subscriber.receive({ topic, payload: String(number) });
    await subscriber.expectNothing();
  });
});
