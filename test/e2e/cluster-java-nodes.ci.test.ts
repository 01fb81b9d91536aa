// Beside nodes of apache/rocketmq-mqtt on one RocketMQ: their KV configuration, events, messages and
// positions, written and read as they do it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { plainCluster } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { freePort } from '../harness/free-port.ts';
import { flagsOf, programPath } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import {
  javaCommit,
  javaEnd,
  JavaEventPort,
  javaLmqName,
  javaPosition,
  javaPublish,
  javaPull,
} from '../harness/rocketmq/java-node.ts';
import { mqadmin } from '../harness/rocketmq/mqadmin.ts';
import { createTopic } from '../harness/rocketmq/producer.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const deviceMs = 60_000;
const javaNode = '127.0.0.2';
const first = 'jt';
const eventsTopic = '%SYS_MQTT/online_offline_event';
const getKvCode = 101;

let redis: RedisServer;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;
let rpcPort = 0;
let brokerPort = 0;
let isOld = false;
const events = new JavaEventPort();

const device = (fields: Parameters<typeof connected>[1] = {}): Promise<RawClient> =>
  connected(cluster.mqttPort, { version: 4, ...fields });

/** Until it holds: asked again every 200 ms. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + deviceMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not within ${deviceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const figure = async (name: string): Promise<number> => (await cluster.metrics()).get(name) ?? 0;

async function kv(key: string): Promise<string> {
  const { port } = rocketmq.namesrv;
  const answer = await remotingRequest(port, getKvCode, { namespace: 'LMQ', key });
  return answer.fields['value'] ?? '';
}

void describe('beside Java nodes', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    const { version, namesrv } = rocketmq;
    isOld = version.startsWith('4.');
    brokerPort = rocketmq.broker().port;
    for (const topic of [first, 'retry']) await createTopic(brokerPort, topic);
    // The lines of the Java nodes' documentation.
    const update = ['updateKvConfig', '-s', 'LMQ'];
    const n = ['-n', namesrv.address];
    await Promise.all([
      mqadmin(version, ...update, '-k', 'LMQ_CONNECT_NODES', '-v', javaNode, ...n),
      mqadmin(version, ...update, '-k', 'ALL_FIRST_TOPICS', '-v', `${first},retry,absent`, ...n),
    ]);
    await mqadmin(version, ...update, '-k', first, '-v', `${first}/r/+`, ...n);
    rpcPort = await freePort();
    await events.listen(javaNode, rpcPort);
    cluster = new StoreCluster({
      clusterId: plainCluster,
      redisUrl: redis.url,
      namesrv: namesrv.address,
      dsSettings: {
        JAVA_NODES: 'on',
        JAVA_RPC_PORT: String(rpcPort),
        CLIENT_RETRY_TOPIC: 'retry',
        PRESENCE: 'on',
        PRESENCE_TOPIC: eventsTopic,
      },
    });
    await cluster.start();
  });

  after(async () => {
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close(), events.close()]);
  });

  void test('the KV configuration is read; a retry topic in it is ignored and told', async () => {
    assert.equal(await figure('lmqtt_java_nodes'), 2, 'one, at each of two ds');
    assert.equal(await figure('lmqtt_java_first_topics'), 4);
    assert.match(cluster.logs(), /retry topics stand in ALL_FIRST_TOPICS/);
  });

  void test('doctor tells first levels without a topic, and that Java nodes are there', async () => {
    const flags = flagsOf({
      NAMESRV_ADDR: rocketmq.namesrv.address,
      REDIS_URL: redis.url,
      CLIENT_RETRY_TOPIC: 'retry',
    });
    const said = await promisify(execFile)(process.execPath, [
      programPath,
      'doctor',
      ...flags,
    ]).then(
      ({ stdout }) => stdout,
      (error: { readonly stdout: string }) => error.stdout,
    );
    assert.match(said, /first topic absent\s+warn\s+RocketMQ has no such topic/);
    assert.match(said, /first topic retry\s+warn\s+a retry topic in ALL_FIRST_TOPICS/);
    assert.match(said, /Java nodes\s+ok\s+127\.0\.0\.2; first levels jt, absent/);
    assert.doesNotMatch(said, /first topic jt/);
  });

  void test('a publish is stored for clients of Java nodes, at each QoS, and they are told', async () => {
    const topic = `${first}/r/${unique()}`;
    const client = await device({ version: 5 });
    const here = await device();
    await here.subscribe(topic, 2);
    const start = await javaEnd(brokerPort, `${first}/r/+`);
    for (const qos of [0, 1, 2] as const) {
      await client.publish(topic, `at ${qos}`, { qos });
      await here.receive({ topic, payload: `at ${qos}`, qos }, deviceMs);
    }
    await client.publish(topic, '', { qos: 1 });
    await here.receive({ topic, payload: '' }, deviceMs);
    await here.expectNothing();
    await until('indexed', async () => (await javaEnd(brokerPort, topic)) === 4);
    const own = await javaPull(brokerPort, topic, 0);
    const filter = await javaPull(brokerPort, `${first}/r/+`, start);
    for (const text of [own, filter]) {
      for (const part of ['at 0', 'at 1', 'at 2', '★\r\n\t☀']) assert.ok(text.includes(part), part);
      const property = (name: string, value: string): string => `${name}\u0001${value}\u0002`;
      assert.ok(text.includes(property('originMqttTopic', topic)));
      assert.ok(text.includes(property('IS_EMPTY_MSG', 'true')));
      assert.ok(text.includes(property('extData', '{"qosLevel":"2"}')));
      assert.ok(text.includes(property('TAGS', 'MQTT_COMMON')));
    }
    const isTold = (): boolean => events.events.some(({ pubTopic }) => pubTopic === topic);
    await until('told', async () => isTold());
    const event = events.events.find(({ pubTopic }) => pubTopic === topic);
    assert.deepEqual(event, { pubTopic: topic, queueId: 0, brokerName: rocketmq.broker().name });
  });

  void test('events of clients are where Java nodes put them, with their tag', async () => {
    const watcher = await device();
    await watcher.subscribe(eventsTopic, 0);
    const clientId = unique('seen');
    const client = await device({ clientId });
    await client.disconnect();
    const told = (text: string, type: string): boolean =>
      text.includes(`{"clientId":"${clientId}"`) && text.includes(`"eventType":"${type}"`);
    let text = '';
    await until('told', async () => {
      text = await javaPull(brokerPort, eventsTopic, 0);
      return told(text, 'CLIENT_CONNECT') && told(text, 'CLIENT_DISCONNECT');
    });
    assert.ok(text.includes('TAGS\u0001CLIENT_EVENT\u0002'));
    assert.ok(!text.includes('TAGS\u0001MQTT_COMMON\u0002'));
    assert.equal(await figure('lmqtt_rocketmq_unmapped_total{reason="reserved topic"}'), 0);
  });

  void test('messages of Java nodes reach every filter here, with their topic and QoS', async () => {
    const topic = `${first}/q/${unique()}`;
    const clients = [await device(), await device({ version: 5 }), await device()];
    for (const [index, filter] of [topic, `${first}/#`, '+/q/+'].entries())
      await clients[index]!.subscribe(filter, 2);
    const real = `${first}/real/${unique()}`;
    await javaPublish(brokerPort, { topic, payload: 'one', qos: 1 });
    await javaPublish(brokerPort, { topic, payload: '', qos: 2 });
    for (const client of clients) {
      await client.receive({ topic, payload: 'one', qos: 1 }, deviceMs);
      await client.receive({ topic, payload: '', qos: 2 }, deviceMs);
    }
    // Of another topic and QoS: it could overtake the others.
    await javaPublish(brokerPort, {
      topic,
      payload: 'elsewhere',
      qos: 0,
      more: { mqttRealTopic: real },
    });
    await clients[1]!.receive({ topic: real, payload: 'elsewhere', qos: 0 }, deviceMs);
    for (const client of clients) await client.expectNothing();
  });

  void test('a client of a Java node gets exactly what it was owed', async () => {
    const topic = `${first}/x/${unique()}`;
    for (let number = 0; number < 5; number += 1)
      await javaPublish(brokerPort, { topic, payload: `m${number}` });
    await until('indexed', async () => (await javaEnd(brokerPort, topic)) === 5);
    const [some, all, none] = [unique(), unique(), unique()];
    await javaCommit(brokerPort, some, topic, 3);
    await javaCommit(brokerPort, all, topic, 0);
    const owed = new Map([
      [some, 3],
      // RocketMQ 4.9 does not tell a position of 0 from none.
      [all, isOld ? 5 : 0],
      [none, 5],
    ]);
    for (const [clientId, from] of owed) {
      const client = await device({ clientId, clean: false });
      await client.subscribe(topic, 1);
      for (let number = from; number < 5; number += 1)
        await client.receive({ topic, payload: `m${number}`, qos: 1 }, deviceMs);
      await client.expectNothing();
    }
    await javaPublish(brokerPort, { topic, payload: 'live' });
    const again = await device({ clientId: some, clean: false, sessionPresent: true });
    await again.receive({ topic, payload: 'live' }, deviceMs);
    await again.expectNothing();
  });

  void test('a client that goes to a Java node is owed there what it had not got here', async () => {
    const topic = `${first}/y/${unique()}`;
    const clientId = unique();
    const filter = `${first}/y/+`;
    const client = await device({ clientId, clean: false });
    await client.subscribe(topic, 1);
    await client.subscribe(filter, 1);
    const start = await javaEnd(brokerPort, filter);
    const publisher = await device({ version: 5 });
    for (const payload of ['0', '1']) {
      await publisher.publish(topic, payload, { qos: 1 });
      await client.receive({ topic, payload }, deviceMs);
    }
    await until('written', async () => (await kv(first)).split(',').includes(filter));
    assert.ok((await kv(first)).split(',').includes(`${first}/r/+`), 'of the operator');
    await client.disconnect();
    await publisher.publish(topic, 'owed here', { qos: 1 });
    await javaPublish(brokerPort, { topic, payload: 'owed there', filters: [filter] });
    const position = async (): Promise<boolean> =>
      (await javaPosition(brokerPort, clientId, topic)) === 2 &&
      (await javaPosition(brokerPort, clientId, filter)) === start + 2;
    await until('mirrored', position);
    for (const [name, from] of [[topic, 2] as const, [filter, start + 2] as const]) {
      await until('indexed', async () => (await javaEnd(brokerPort, name)) === from + 2);
      const text = await javaPull(brokerPort, name, from);
      assert.ok(text.includes('owed here') && text.includes('owed there'), javaLmqName(name));
    }
  });

  void test('requests of Java nodes are answered: 201, and 203, which ends a connection', async () => {
    const ask = (code: number, body: string, fields = {}): Promise<{ code: number }> =>
      remotingRequest(rpcPort, code, fields, body);
    const event = { brokerName: rocketmq.broker().name, pubTopic: `${first}/z`, queueId: 0 };
    assert.equal((await ask(201, JSON.stringify([event]))).code, 1);
    assert.equal((await ask(201, 'no list')).code, -1);
    const clientId = unique();
    const client = await device({ clientId });
    assert.equal((await ask(203, '', { channelId: clientId })).code, 1);
    await client.expectClose(deviceMs);
  });
});
