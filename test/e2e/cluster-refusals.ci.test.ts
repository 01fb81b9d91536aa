// Refusals of a real RocketMQ, as clients of 5.0 and of 3.1.1 see them. Rights that it denies are
// in doctor-rights.ci.test.ts; each code that it has, in test/contract/refusals.test.ts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { publish } from '../harness/packets.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const updateBrokerConfigCode = 25;
/** Brokers read what is changed while they run before each message. */
const wrong = 'maxMessageSize=100';
const right = 'maxMessageSize=4194304';

void describe('refusals of RocketMQ', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster;

  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    cluster = new StoreCluster({
      clusterId: unique('refusals'),
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
    });
    await cluster.start();
  });
  after(async () => {
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  async function setBroker(line: string): Promise<void> {
    const { port } = rocketmq.broker();
    const { code } = await remotingRequest(port, updateBrokerConfigCode, {}, `${line}\n`);
    assert.equal(code, 0);
  }

  const client = (version: 3 | 4 | 5): Promise<RawClient> =>
    connected(cluster.mqttPort, { version });

  void test('a message larger than the broker takes: 0x99, and 3.1.1 is not acknowledged', async () => {
    const topic = unique();
    const payload = 'x'.repeat(500);
    const five = await client(5);
    await five.publish(topic, payload, { qos: 1 });
    await setBroker(wrong);
    try {
      for (const [qos, answer] of [
        [1, 'puback'],
        [2, 'pubrec'],
      ] as const) {
        five.send(publish({ version: 5, topic, payload, qos, packetId: 100 + qos }));
        assert.equal((await five.expect(answer)).reason, 0x99, answer);
      }
      for (const version of [3, 4] as const) {
        const old = await client(version);
        old.send(publish({ version, topic, payload, qos: 1, packetId: 7 }));
        await old.expectClose();
      }
    } finally {
      await setBroker(right);
    }
    const subscriber = await client(5);
    await subscriber.subscribe(topic, 2);
    await five.publish(topic, 'again', { qos: 2 });
    await subscriber.receive({ payload: 'again' });
    await subscriber.expectNothing();
  });
});
