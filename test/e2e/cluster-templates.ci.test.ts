// Messages of back ends that say nothing of MQTT reach devices where a rule makes their topic.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BackEndCluster, backEndSkip as skip } from '../harness/back-end-cluster.ts';
import { produce } from '../harness/rocketmq/producer.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const deviceMs = 60_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
type Properties = Readonly<Record<string, string>>;

let backEnds: BackEndCluster;

const device = (fields: Parameters<BackEndCluster['device']>[0] = {}): Promise<RawClient> =>
  backEnds.device(fields);

async function send(body: string, properties: Properties, topic = 'orders'): Promise<void> {
  await produce(backEnds.brokerPort, { topic, body, properties });
}

const counted = (reason: string): Promise<number> =>
  backEnds.counted(`lmqtt_rocketmq_unmapped_total{reason="${reason}"}`);

void describe('from services to devices by rules', { skip }, () => {
  before(async () => {
    const dsSettings = {
      TAIL_TAGS: 'MQ2MQTT',
      TOPIC_TEMPLATES:
        'orders:paid = shop/{prop.shop}/orders/{keys}, orders:to = x/p2p/{prop.client}, ' +
        'alarms = {topic}/{tag}/{prop.site}',
    };
    backEnds = await BackEndCluster.start({ dsSettings }, ['orders', 'alarms']);
  });

  after(() => backEnds?.close());

  void test('topic from properties, keys and tag: connected, away, shared, once and in order', async () => {
    const shop = unique();
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(`shop/${shop}/#`, 1);
    await absent.disconnect();
    const live = await device();
    await live.subscribe(
      [`shop/${shop}/orders/4711`, `shop/+/orders/+`].map((filter) => ({ filter, qos: 1 })),
      1,
    );
    const shared = await device();
    await shared.subscribe(`$share/g/shop/${shop}/#`, 1);
    const bodies = Array.from({ length: 20 }, (_, number) => `order ${number}`);
    for (const body of bodies) await send(body, { TAGS: 'paid', KEYS: '4711', shop });
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    for (const client of [live, shared, back]) {
      for (const payload of bodies)
        await client.receive({ topic: `shop/${shop}/orders/4711`, payload, qos: 1 }, deviceMs);
      await client.expectNothing();
    }
    const alarms = await device();
    await alarms.subscribe(`alarms/#`, 1);
    await send('fire', { TAGS: 'high', site: shop }, 'alarms');
    await alarms.receive({ topic: `alarms/high/${shop}`, payload: 'fire' }, deviceMs);
  });

  void test('QoS, retain and properties of MQTT 5.0; and to one client', async () => {
    const shop = unique();
    const live = await device();
    await live.subscribe(`shop/${shop}/#`, 2);
    const more = { contentType: 'text/plain', messageExpiryInterval: '600', retain: 'true' };
    await send('state', { TAGS: 'paid', KEYS: 'k', shop, qosLevel: '2', ...more });
    const { properties } = await live.receive({ payload: 'state', qos: 2 }, deviceMs);
    assert.equal(properties?.contentType, 'text/plain');
    for (;;) {
      const late = await device();
      await late.subscribe(`shop/${shop}/#`, 1);
      if ((await late.receive({ retain: true }, 500).catch(() => undefined)) !== undefined) break;
      late.destroy();
    }
    const clientId = unique('one');
    const one = await device({ clientId });
    await send('for you', { TAGS: 'to', client: clientId });
    await one.receive({ topic: `x/p2p/${clientId}`, payload: 'for you' }, deviceMs);
  });

  void test('what it says itself counts first; other tags and missing values are left alone', async () => {
    const shop = unique();
    const all = await device();
    await all.subscribe(
      [`shop/${shop}/#`, `own/${shop}`].map((filter) => ({ filter, qos: 1 })),
      1,
    );
    const before = new Map<string, number>();
    const cases: readonly (readonly [string, Properties])[] = [
      ['no topic', { TAGS: 'cancelled', KEYS: 'k', shop }],
      ['template', { TAGS: 'paid', shop }],
      ['template', { TAGS: 'paid', KEYS: 'k' }],
      ['template', { TAGS: 'paid', KEYS: 'a/#', shop }],
    ];
    for (const [reason] of cases) before.set(reason, await counted(reason));
    for (const [, properties] of cases) await send('left alone', properties);
    await send('said', { TAGS: 'paid', KEYS: 'k', shop, mqttTopic: `own/${shop}` });
    await all.receive({ topic: `own/${shop}`, payload: 'said' }, deviceMs);
    for (const reason of new Set(before.keys())) {
      const wanted = before.get(reason)! + cases.filter(([one]) => one === reason).length;
      const endMs = Date.now() + deviceMs;
      while ((await counted(reason)) < wanted && Date.now() < endMs);
      assert.equal(await counted(reason), wanted, reason);
    }
    await all.expectNothing();
  });
});
