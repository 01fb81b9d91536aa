// A message that a back end sends with an MQTT topic reaches all who have subscribed to it, whether
// or not it names their queues, as a publish of that topic would.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  BackEndCluster,
  backEndSkip as skip,
  backEndTopic as topic,
  lmqOf as lmq,
} from '../harness/back-end-cluster.ts';
import { prepare, produce } from '../harness/rocketmq/producer.ts';
import type { RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const deviceMs = 60_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
type Properties = Readonly<Record<string, string>>;

let backEnds: BackEndCluster;
let rocketmq: RocketmqCluster;

const device = (fields: Parameters<BackEndCluster['device']>[0] = {}): Promise<RawClient> =>
  backEnds.device(fields);

async function send(body: string, properties: Properties, queueId: number = 0): Promise<void> {
  await produce(rocketmq.broker().port, { topic, body, queueId, properties });
}

const counted = (reason: string): Promise<number> =>
  backEnds.counted(`lmqtt_rocketmq_unmapped_total{reason="${reason}"}`);

void describe('from services to devices', { skip }, () => {
  before(async () => {
    backEnds = await BackEndCluster.start();
    ({ rocketmq } = backEnds);
  });

  after(() => backEnds?.close());

  for (const property of ['mqttTopic', 'originMqttTopic']) {
    void test(`${property} alone: exact and wildcard subscribers, each once and in order`, async () => {
      const stem = unique();
      const name = `${stem}/lamp`;
      const exact = await device();
      await exact.subscribe(name, 1);
      const wildcards = await device();
      await wildcards.subscribe(`${stem}/#`, 1);
      const plus = await device({ version: 4 });
      await plus.subscribe('+/lamp', 1);
      const several = await device();
      await several.subscribe(
        [name, `${stem}/#`, `${stem}/+`, '+/lamp'].map((filter) => ({ filter, qos: 1 })),
        1,
      );
      const bodies = Array.from({ length: 20 }, (_, number) => `command ${number}`);
      for (const body of bodies) await send(body, { [property]: name });
      for (const client of [exact, wildcards, plus, several]) {
        for (const payload of bodies) await client.receive({ topic: name, payload }, deviceMs);
        await client.expectNothing();
      }
    });
  }

  void test('exact queue named: who has subscribed with wildcards gets it, too', async () => {
    const stem = unique();
    const name = `${stem}/lamp`;
    const exact = await device();
    await exact.subscribe(name, 1);
    const wildcard = await device();
    await wildcard.subscribe(`${stem}/#`, 1);
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(`${stem}/+`, 1);
    await absent.disconnect();
    await send('named', { INNER_MULTI_DISPATCH: lmq(name), originMqttTopic: name });
    await send('no topic', { INNER_MULTI_DISPATCH: lmq(name) });
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    for (const client of [exact, wildcard, back]) {
      await client.receive({ topic: name, payload: 'named' }, deviceMs);
      await client.receive({ topic: name, payload: 'no topic' }, deviceMs);
      await client.expectNothing();
    }
  });

  void test('one of a shared group gets it, and who was absent when he is back', async () => {
    const name = `${unique()}/lamp`;
    const members = [await device(), await device()];
    for (const member of members) await member.subscribe(`$share/g/${name}`, 1);
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(name, 2);
    await absent.disconnect();
    const bodies = Array.from({ length: 10 }, (_, number) => `command ${number}`);
    for (const body of bodies) await send(body, { mqttTopic: name });
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    for (const payload of bodies) await back.receive({ payload }, deviceMs);
    await back.expectNothing();
    const got: string[] = [];
    await Promise.all(
      members.map(async (member) => {
        while (got.length < bodies.length) {
          const found = await member.receive({}, 5000).catch(() => undefined);
          if (found === undefined) continue;
          got.push(found.payload.toString());
        }
      }),
    );
    assert.deepEqual(got.toSorted(), bodies.toSorted());
  });

  void test('QoS and properties of MQTT 5.0', async () => {
    const name = `${unique()}/lamp`;
    const client = await device();
    await client.subscribe(`${name}/#`, 2);
    for (const qos of [0, 1, 2] as const) {
      await send(`QoS ${qos}`, { mqttTopic: name, qosLevel: `${qos}` });
      await client.receive({ payload: `QoS ${qos}`, qos }, deviceMs);
    }
    await send('properties', {
      mqttTopic: name,
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlationData: Buffer.from('c1').toString('base64'),
      messageExpiryInterval: '600',
      mqtt5UserProperty: JSON.stringify([{ key: 'a', value: 'b' }]),
    });
    const { properties } = await client.receive({ payload: 'properties' }, deviceMs);
    assert.equal(properties?.contentType, 'text/plain');
    assert.equal(properties?.responseTopic, 'answers');
    assert.equal(properties?.correlationData?.toString(), 'c1');
    assert.deepEqual(properties?.userProperties, [['a', 'b']]);
    assert.ok((properties?.messageExpiryInterval ?? 0) <= 600);
  });

  void test('retained by a property, from any queue of RocketMQ, and removed', async () => {
    const name = `${unique()}/lamp`;
    const live = await device();
    await live.subscribe(name, 1);
    for (const queueId of [0, 1, 2, 3]) {
      const body = `state ${queueId}`;
      await send(body, { mqttTopic: name, retain: 'true' }, queueId);
      await live.receive({ topic: name, payload: body }, deviceMs);
    }
    await live.expectNothing();
    const retained = async (): Promise<string | undefined> => {
      const late = await device();
      await late.subscribe(name, 1);
      const found = await late.receive({}, 500).catch(() => undefined);
      return found?.payload.toString();
    };
    // It is put beside what is delivered.
    while ((await retained()) !== 'state 3');
    await send('★\r\n\t☀', { mqttTopic: name, retain: '1', IS_EMPTY_MSG: 'true' }, 1);
    await live.receive({ topic: name, payload: '' }, deviceMs);
    while ((await retained()) !== undefined);
  });

  void test('transactions and delayed messages, when RocketMQ has them', async () => {
    const name = `${unique()}/lamp`;
    const client = await device();
    await client.subscribe(`${name}/#`, 1);
    const message = { topic, body: 'committed', properties: { mqttTopic: name } };
    const { port } = rocketmq.broker();
    const end = await prepare(port, message);
    const other = await prepare(port, { ...message, body: 'rolled back' });
    await other('rollback');
    await send('delayed', { mqttTopic: name, DELAY: '1' });
    await client.receive({ payload: 'delayed' }, deviceMs);
    await end('commit');
    await client.receive({ payload: 'committed' }, deviceMs);
    await client.expectNothing();
  });

  void test('what cannot be mapped is left alone and counted by the reason', async () => {
    const name = `${unique()}/lamp`;
    const client = await device();
    await client.subscribe('#', 1);
    const cases: readonly (readonly [string, Properties])[] = [
      ['no topic', { TAGS: 'MQ2MQTT' }],
      ['topic', { mqttTopic: 'a/+/b' }],
      ['reserved topic', { mqttTopic: '$SYS/x' }],
      ['bad properties', { mqttTopic: name, qosLevel: '7' }],
      ['bad properties', { mqttTopic: name, mqtt5UserProperty: 'none' }],
      ['unknown queue', { INNER_MULTI_DISPATCH: '%LMQ%##nobody' }],
    ];
    const expected = new Map<string, number>();
    for (const [reason, properties] of cases) {
      expected.set(reason, (expected.get(reason) ?? (await counted(reason))) + 1);
      await send(`left alone: ${reason}`, properties);
    }
    await send('last', { mqttTopic: name });
    await client.receive({ topic: name, payload: 'last' }, deviceMs);
    for (const [reason, count] of expected) {
      const endMs = Date.now() + deviceMs;
      while ((await counted(reason)) < count && Date.now() < endMs);
      assert.equal(await counted(reason), count, reason);
    }
    await client.expectNothing();
    // Each ds tells it now and then.
    const endMs = Date.now() + deviceMs;
    let printed = '';
    const isTold = (reason: string): boolean =>
      new RegExp(`^${reason} +${topic} +\\d+ +\\d{4}-`, 'm').test(printed);
    while (![...expected.keys()].every(isTold) && Date.now() < endMs)
      printed = await backEnds.command('unmapped');
    for (const reason of expected.keys()) assert.ok(isTold(reason), `${reason}:\n${printed}`);
  });
});
