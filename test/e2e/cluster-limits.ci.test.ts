// Packets larger than RocketMQ's messages, and filters that match no topic that it can hold, are
// promised to nobody.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { publish, subscribe } from '../harness/packets.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const messageBytesMax = 262_144;
const waitMs = 30_000;

let redis: RedisServer;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;

/** A PUBLISH of QoS 1 of just this size. */
function publishOf(packetBytes: number, topic: string, version: 4 | 5): Buffer {
  const probe = publish({ topic, version, qos: 1, packetId: 9, payload: Buffer.alloc(100_000) });
  const besidesBytes = probe.length - 100_000;
  const payload = Buffer.alloc(packetBytes - besidesBytes, 7);
  const packet = publish({ topic, version, qos: 1, packetId: 9, payload });
  assert.equal(packet.length, packetBytes);
  return packet;
}

void describe('what RocketMQ does not take', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([
      startRedis(),
      startRocketmq({
        brokers: [{ sendThreads: 1, conf: { maxMessageSize: messageBytesMax } }],
      }),
    ]);
    const servers = { redisUrl: redis.url, namesrv: rocketmq.namesrv.address };
    cluster = new StoreCluster({ ...servers, settings: { MAX_PACKET_SIZE: '1m' } });
    await cluster.start();
  });
  after(async () => {
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  const port = (): number => cluster.node('cs-1').port('mqtt');

  void test('CONNACK promises what every broker takes, and that is taken', async () => {
    const topic = unique('largest');
    const client = await connectRaw(port(), { version: 5 });
    const { properties } = await client.connect({ version: 5, clientId: unique() });
    const promised = Number(properties.maximumPacketSize);
    assert.ok(promised > 65_536 && promised <= messageBytesMax, String(promised));
    await client.subscribe(topic, 1);
    client.send(publishOf(promised, topic, 5));
    assert.equal((await client.find('puback', { packetId: 9 }, waitMs)).reason, 0);
    const got = await client.find('publish', { topic }, waitMs);
    assert.ok(got.payload.length > promised - 100);
    client.discard();
    client.send(publishOf(promised + 1, topic, 5));
    await client.find('disconnect', { reason: 0x95 }, waitMs);
    await client.expectClose();
    const old = await connected(port());
    old.send(publishOf(promised, topic, 4));
    await old.find('puback', { packetId: 9 }, waitMs);
    old.send(publishOf(promised + 1, topic, 4));
    await old.expectClose();
    const metric = 'lmqtt_limit_total{limit="max_packet_size"}';
    assert.equal((await cluster.node('cs-1').metrics()).get(metric), 2);
  });

  void test('a filter that no topic there can match is refused', async () => {
    const filters = [
      'a\u0001b/#',
      '+/\u0002',
      'x'.repeat(32_700),
      `${'y/'.repeat(100)}#`,
      'fine/+',
    ];
    const client = await connected(port(), { version: 5 });
    client.send(
      subscribe({ version: 5, packetId: 3, filters: filters.map((filter) => ({ filter })) }),
    );
    const five = await client.find('suback', { packetId: 3 });
    assert.deepEqual(five.reasons, [0x8f, 0x8f, 0x8f, 0, 0]);
    const old = await connected(port());
    old.send(subscribe({ packetId: 3, filters: filters.map((filter) => ({ filter })) }));
    assert.deepEqual((await old.find('suback', { packetId: 3 })).reasons, [0x80, 0x80, 0x80, 0, 0]);
  });
});
