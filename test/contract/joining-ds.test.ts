// A ds that joins a cluster at work is used when every cs has reached it: what is published through
// it at QoS 0 from its first moment on comes to subscribers of every cs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { requireRedis } from '../harness/require.ts';
import { eventually } from './group-scene.ts';
import { MemoryCluster, type MemoryDs } from './memory-cluster.ts';

const joining = ['ds-2', 'ds-3', 'ds-4'];
/** Clients of the ds that has joined, each of which publishes before the next one connects. */
const ofJoinedMin = 3;

void describe('a ds that joins', requireRedis(), () => {
  let cluster: MemoryCluster;
  const clients: MqttClient[] = [];

  before(async () => {
    cluster = await MemoryCluster.start(7, ['ds-1'], ['cs-1', 'cs-2']);
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await cluster.stop();
  });

  async function connected(cs: number): Promise<MqttClient> {
    const client = await connectAsync(`mqtt://127.0.0.1:${cluster.cs[cs]?.ports.mqtt}`, {
      clientId: `joining-${clients.length}`,
      protocolVersion: 5,
      reconnectPeriod: 0,
    });
    clients.push(client);
    return client;
  }

  void test('nothing at QoS 0 that goes through it is lost', async () => {
    const came: string[] = [];
    const subscriber = await connected(1);
    subscriber.on('message', (_topic, payload) => came.push(payload.toString()));
    await subscriber.subscribeAsync('joining', { qos: 0 });
    const sent: string[] = [];
    for (const id of joining) {
      let joined: MemoryDs | undefined;
      const start = cluster.startDs(id).then((ds) => {
        joined = ds;
      });
      while ((joined?.service.sessionCount ?? 0) < ofJoinedMin) {
        const publisher = await connected(0);
        const text = `${id} ${sent.length}`;
        sent.push(text);
        await publisher.publishAsync('joining', text, { qos: 0 });
      }
      await start;
      assert.equal(joined?.service.awaited, null);
    }
    await eventually(() => assert.equal(came.length, sent.length));
    assert.deepEqual(came.toSorted(), sent.toSorted());
  });
});
