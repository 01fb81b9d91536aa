// What a back end sends to one client reaches it, connected or away, whether it says the client
// identifier alone, the name of the client's light queue as Java nodes do, or an MQTT topic.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clientId as idOf } from '@lmqtt/common/ids';
import { lmqP2pName } from '@lmqtt/ds/rocketmq/names/lmq-name';
import {
  BackEndCluster,
  backEndSkip as skip,
  backEndTopic as topic,
} from '../harness/back-end-cluster.ts';
import { produce } from '../harness/rocketmq/producer.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const p2pTopic = 'to-clients';
const deviceMs = 60_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
type Properties = Readonly<Record<string, string>>;

let backEnds: BackEndCluster;

const device = (fields: Parameters<BackEndCluster['device']>[0] = {}): Promise<RawClient> =>
  backEnds.device(fields);

async function send(body: string, properties: Properties, to: string = topic): Promise<void> {
  await produce(backEnds.brokerPort, { topic: to, body, properties });
}

const counted = (reason: string): Promise<number> =>
  backEnds.counted(`lmqtt_rocketmq_unmapped_total{reason="${reason}"}`);

/** What a producer says, and the topic that the device is told. */
const ways: Readonly<Record<string, (client: string) => readonly [Properties, string]>> = {
  'the client identifier alone': (client) => [{ mqttClientId: client }, `${topic}/p2p/${client}`],
  'the client identifier and a topic': (client) => [
    { mqttClientId: client, mqttTopic: `orders/${client}` },
    `orders/${client}`,
  ],
  'the name of the light queue alone': (client) => [
    { INNER_MULTI_DISPATCH: lmqP2pName(idOf(client)) },
    `/p2p/${client}`,
  ],
  'the name of the light queue and a topic': (client) => [
    { INNER_MULTI_DISPATCH: lmqP2pName(idOf(client)), originMqttTopic: `orders/${client}` },
    `orders/${client}`,
  ],
  'a topic that addresses the client': (client) => [
    { mqttTopic: `${topic}/p2p/${client}/x` },
    `${topic}/p2p/${client}/x`,
  ],
};

void describe('from services to one device', { skip }, () => {
  before(async () => {
    const dsSettings = { CLIENT_P2P_TOPIC: p2pTopic };
    backEnds = await BackEndCluster.start({ dsSettings }, [p2pTopic]);
  });

  after(() => backEnds?.close());

  for (const [way, of] of Object.entries(ways))
    void test(`${way}: connected or away, at each QoS, each once and in order`, async () => {
      const client = unique('p2p');
      const [properties, name] = of(client);
      const other = await device({ clientId: `${client}x` });
      const live = await device({ clientId: client, ...lasting });
      for (const qos of [0, 1, 2] as const) {
        await send(`live ${qos}`, { ...properties, qosLevel: `${qos}` });
        await live.receive({ topic: name, payload: `live ${qos}`, qos }, deviceMs);
      }
      await live.disconnect();
      for (const to of [topic, p2pTopic]) {
        if (to === p2pTopic && !properties['INNER_MULTI_DISPATCH']) continue;
        await send(`away in ${to}`, properties, to);
      }
      await send('last', properties);
      const back = await device({ clientId: client, ...lasting, sessionPresent: true });
      const got: string[] = [];
      while (!got.includes('last')) got.push((await back.receive({}, deviceMs)).payload.toString());
      assert.deepEqual([...new Set(got)], got);
      assert.ok(got.includes(`away in ${topic}`));
      await back.expectNothing();
      await other.expectNothing();
    });

  void test('messages in CLIENT_P2P_TOPIC are read as they are stored', async () => {
    const client = unique('p2p');
    const live = await device({ clientId: client });
    for (const properties of [
      { mqttClientId: client },
      { INNER_MULTI_DISPATCH: lmqP2pName(idOf(client)) },
    ]) {
      await send('there', properties, p2pTopic);
      await live.receive({ payload: 'there' }, deviceMs);
    }
    await live.expectNothing();
  });

  void test('a client that subscribes to the topic gets a message to it alone once', async () => {
    const client = unique('p2p');
    const live = await device({ clientId: client });
    await live.subscribe(`${client}/#`, 1);
    const watcher = await device();
    await watcher.subscribe(`${client}/#`, 1);
    await send('to one', { mqttClientId: client, mqttTopic: `${client}/a`, retain: 'true' });
    await send('to all', { mqttTopic: `${client}/a` });
    for (const payload of ['to one', 'to all']) await live.receive({ payload }, deviceMs);
    await watcher.receive({ payload: 'to all' }, deviceMs);
    const late = await device();
    await late.subscribe(`${client}/#`, 1);
    for (const each of [live, watcher, late]) await each.expectNothing();
  });

  void test('nobody of that name: left alone, and counted', async () => {
    const client = unique('p2p');
    const before = await counted('no session');
    await send('nobody', { mqttClientId: client });
    const endMs = Date.now() + deviceMs;
    while ((await counted('no session')) === before && Date.now() < endMs);
    assert.equal(await counted('no session'), before + 1);
    const live = await device({ clientId: client });
    await send('somebody', { mqttClientId: client });
    await live.receive({ payload: 'somebody' }, deviceMs);
    await live.expectNothing();
  });
});
