// Devices and back ends share their messages: RocketMQ's own client reads what devices publish, and
// devices get what it sends to their queues. And what only a cluster of several nodes can show.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { QueueName } from '@lmqtt/common/ids';
import { plainCluster, clusterDefaultTopic } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { lmqNameOf } from '@lmqtt/ds/rocketmq/names/lmq-name';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';
import { type RocketmqClient, startRocketmqClient } from './rocketmq-client-process.ts';

/** A proxy beside the broker takes too long for every run. */
const notNow =
  process.env['CI'] === 'true' ? false : 'with CI=true: it starts a RocketMQ with proxy';
const skip = notNow !== false ? notNow : requireRedis().skip || requireRocketmq().skip;

const topic = clusterDefaultTopic(plainCluster);
const group = 'back-end';
/** UPDATE_AND_CREATE_SUBSCRIPTIONGROUP. */
const createGroupCode = 200;
/** A first pull through the proxy of a cold JVM. */
const arriveMs = 30_000;
const deviceMs = 10_000;
const takeoverMs = 10_000;
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

let redis: RedisServer;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;
let client: RocketmqClient;
let home = '';

const at = (number: 1 | 2, fields: Parameters<typeof connected>[1] = {}): Promise<RawClient> =>
  connected(cluster.node(`cs-${number}`).port('mqtt'), { version: 5, ...fields });

const lmq = (filter: string): string => lmqNameOf(filter as QueueName);

void describe('a cluster on a RocketMQ that others use, too', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ proxy: true })]);
    // The names of queues are then those that anybody can write down.
    cluster = new StoreCluster({
      clusterId: plainCluster,
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
    });
    await cluster.start();
    const made = await remotingRequest(
      rocketmq.broker().port,
      createGroupCode,
      {},
      JSON.stringify({
        groupName: group,
        consumeEnable: true,
        retryQueueNums: 1,
        retryMaxTimes: 16,
      }),
    );
    assert.equal(made.code, 0, made.remark);
    home = mkdtempSync(join(tmpdir(), 'lmqtt-client-'));
    const endpoints = `127.0.0.1:${rocketmq.proxy?.port ?? 0}`;
    client = await startRocketmqClient({ endpoints, topic, group, tag: 'MQTT_COMMON' }, home);
  });

  after(async () => {
    closeAllClients();
    await client?.kill();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
    if (home !== '') rmSync(home, { recursive: true, force: true });
  });

  void test('an ordinary consumer gets what devices publish, at each QoS', async () => {
    const device = await at(1);
    const name = unique();
    for (const qos of [0, 1, 2] as const) {
      await device.publish(name, `${name} at ${qos}`, { qos });
      const message = await client.receive(({ body }) => body === `${name} at ${qos}`, arriveMs);
      assert.equal(message.topic, topic);
      assert.equal(message.tag, 'MQTT_COMMON');
      assert.equal(message.properties['originMqttTopic'], name);
    }
  });

  void test('a message that an ordinary producer stores in their queues reaches devices', async () => {
    const stem = unique();
    const name = `${stem}/device`;
    const here = await at(1);
    await here.subscribe(name, 1);
    const elsewhere = await at(2);
    await elsewhere.subscribe(`${stem}/#`, 1);
    const absent = await at(2, { clientId: `${stem}-absent`, ...lasting });
    await absent.subscribe(name, 1);
    await absent.disconnect();
    await client.send({
      topic,
      tag: 'MQ2MQTT',
      body: 'from a back end',
      properties: {
        INNER_MULTI_DISPATCH: [lmq(name), lmq(`${stem}/#`)].join(','),
        originMqttTopic: name,
        qosLevel: '1',
      },
    });
    for (const subscriber of [here, elsewhere]) {
      await subscriber.receive({ topic: name, payload: 'from a back end', qos: 1 }, deviceMs);
    }
    const back = await at(1, { clientId: `${stem}-absent`, ...lasting, sessionPresent: true });
    await back.receive({ topic: name, payload: 'from a back end', qos: 1 }, deviceMs);
  });

  void test('a message with an MQTT topic alone reaches all who have subscribed to it', async () => {
    const stem = unique();
    const name = `${stem}/lamp`;
    const wildcard = await at(1);
    await wildcard.subscribe(`${stem}/#`, 1);
    const exact = await at(2);
    await exact.subscribe(name, 1);
    const properties = { mqttTopic: name, qosLevel: '1', retain: 'true' };
    await client.send({ topic, tag: 'MQ2MQTT', body: 'on', properties });
    for (const subscriber of [wildcard, exact]) {
      await subscriber.receive({ topic: name, payload: 'on', qos: 1 }, deviceMs);
      await subscriber.expectNothing();
    }
  });

  void test('messages are pushed only to nodes where somebody wants them', async () => {
    const name = unique();
    const subscriber = await at(1);
    await subscriber.subscribe(name, 1);
    const publisher = await at(2);
    const pushed = async (cs: string): Promise<number> =>
      (await cluster.node(cs).metrics()).get('lmqtt_link_pushed_total') ?? 0;
    const before = [await pushed('cs-1'), await pushed('cs-2')] as const;
    const count = 50;
    for (let number = 0; number < count; number += 1) {
      await publisher.publish(name, String(number), { qos: 1 });
      await subscriber.receive({ payload: String(number) });
    }
    assert.ok((await pushed('cs-1')) - before[0] >= count);
    // A message of the test before may still come.
    assert.ok((await pushed('cs-2')) - before[1] < count / 10);
  });

  void test('a client id has one connection in the cluster, and one session', async () => {
    const name = unique();
    const publisher = await at(1);
    // Several ids: some live at one ds, some at the other.
    for (let number = 0; number < 8; number += 1) {
      const clientId = `${name}-${number}`;
      const first = await at(1, { clientId, ...lasting });
      await first.subscribe(`${name}/${number}`, 2);
      const second = await at(2, { clientId, ...lasting, sessionPresent: true });
      await first.expectDisconnect(0x8e);
      await publisher.publish(`${name}/${number}`, 'after', { qos: 2 });
      await second.receive({ payload: 'after', qos: 2 }, takeoverMs);
      second.destroy();
    }
  });
});
