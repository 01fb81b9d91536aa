import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import { Suite, together } from './v5.ts';

const suite = new Suite();

async function retain(topic: string, payload: string, qos: 0 | 1 | 2 = 1): Promise<RawClient> {
  const publisher = await suite.client();
  await publisher.publish(topic, payload, { qos, retain: true });
  if (qos === 0) await publisher.ping();
  return publisher;
}

describe('MQTT 5 retained messages', together, () => {
  test('[MQTT-3.3.1-5] the last one replaces the others, with its QoS and properties', async () => {
    const topic = unique();
    const publisher = await retain(topic, 'old', 2);
    const properties = { contentType: 'new', userProperties: [['k', 'v']] as [string, string][] };
    await publisher.publish(topic, 'new', { qos: 1, retain: true, properties });
    const client = await suite.client();
    await client.subscribe(topic, 2);
    const message = await client.receive({
      topic,
      payload: 'new',
      qos: 1,
      retain: true,
      dup: false,
    });
    assert.deepEqual(message.properties, properties);
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-5] the QoS of a retained delivery is the lower of its own and the granted', async () => {
    for (const [stored, granted] of [
      [2, 1],
      [1, 2],
      [1, 0],
      [0, 2],
    ] as const) {
      const topic = unique();
      const publisher = await retain(topic, 'x', stored);
      const client = await suite.client();
      await client.subscribe(topic, granted);
      const qos = Math.min(stored, granted) as 0 | 1 | 2;
      await client.receive({ topic, qos, retain: true });
      publisher.destroy();
      client.destroy();
    }
  });

  test('[MQTT-3.3.1-6] [MQTT-3.3.1-7] an empty payload is delivered, removes and is not stored', async () => {
    const topic = unique();
    const [present, late] = [await suite.client(), await suite.client()];
    await present.subscribe([{ filter: topic, qos: 1, retainAsPublished: true }]);
    const publisher = await retain(topic, 'x');
    await present.receive({ topic, payload: 'x' });
    await publisher.publish(topic, '', { qos: 1, retain: true });
    await present.receive({ topic, payload: '' });
    await late.subscribe(topic, 1);
    await suite.nothingElse(late);
  });

  test('[MQTT-3.3.1-7] an empty payload where nothing is retained stores nothing', async () => {
    const topic = unique();
    await retain(topic, '');
    const client = await suite.client();
    await client.subscribe(topic, 1);
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-8] RETAIN 0 neither stores nor replaces nor removes', async () => {
    const topic = unique();
    const publisher = await retain(topic, 'kept');
    await publisher.publish(topic, 'passing', { qos: 1 });
    await publisher.publish(topic, '', { qos: 1 });
    const never = unique();
    await publisher.publish(never, 'passing', { qos: 1 });
    const client = await suite.client();
    await client.subscribe([topic, never], 1);
    await client.receive({ topic, payload: 'kept', retain: true });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-9] retain handling 0 sends all that match, at each subscribe', async () => {
    const stem = unique();
    for (const name of ['a', 'b', 'b/c']) await retain(`${stem}/${name}`, name);
    const client = await suite.client();
    for (let round = 0; round < 2; round += 1) {
      await client.subscribe(`${stem}/#`, 1);
      const seen = new Set<string>();
      while (seen.size < 3) seen.add((await client.receive({ retain: true })).payload.toString());
    }
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-9] each filter of a SUBSCRIBE has its retained messages', async () => {
    const stem = unique();
    for (const name of ['a', 'b', 'c']) await retain(`${stem}/${name}`, name);
    const client = await suite.client();
    await client.subscribe([
      { filter: `${stem}/a`, qos: 1 },
      { filter: `${stem}/b`, qos: 1, retainHandling: 2 },
      { filter: `${stem}/c`, qos: 0, retainHandling: 1 },
    ]);
    const seen = [await client.receive({ retain: true }), await client.receive({ retain: true })];
    assert.deepEqual(seen.map((message) => message.topic).toSorted(), [`${stem}/a`, `${stem}/c`]);
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-10] retain handling 1 sends only when the subscription is new', async () => {
    const topic = unique();
    await retain(topic, 'x');
    const client = await suite.client();
    const handling = [{ filter: topic, qos: 1, retainHandling: 1 }];
    await client.subscribe(handling);
    await client.receive({ topic, retain: true });
    await client.subscribe(handling);
    await client.subscribe([{ filter: topic, qos: 0, retainHandling: 1 }]);
    await suite.nothingElse(client);
    await client.unsubscribe(topic);
    await client.subscribe(handling);
    await client.receive({ topic, retain: true });
  });

  test('[MQTT-3.3.1-10] the subscription of a resumed session is not new', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await suite.client({ clientId, properties });
    const handling = [{ filter: topic, qos: 1, retainHandling: 1 }];
    await client.subscribe(handling);
    await client.disconnect();
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await retain(topic, 'x');
    await back.receive({ topic, retain: false });
    await back.subscribe(handling);
    await suite.nothingElse(back);
  });

  test('[MQTT-3.3.1-11] retain handling 2 sends none, and live messages all the same', async () => {
    const topic = unique();
    const publisher = await retain(topic, 'stored');
    const client = await suite.client();
    await client.subscribe([{ filter: topic, qos: 1, retainHandling: 2 }]);
    await publisher.publish(topic, 'live', { qos: 1, retain: true });
    await client.receive({ topic, payload: 'live' });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.1-12] [MQTT-3.3.1-13] retain as published: the flag as it came; otherwise 0', async () => {
    const topic = unique();
    const [published, plain] = [await suite.client(), await suite.client()];
    await published.subscribe([{ filter: topic, qos: 1, retainAsPublished: true }]);
    await plain.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await suite.client();
    for (const flag of [true, false, true]) {
      await publisher.publish(topic, String(flag), { qos: 1, retain: flag });
      await published.receive({ topic, payload: String(flag), retain: flag });
      await plain.receive({ topic, payload: String(flag), retain: false });
    }
  });

  test('[MQTT-3.3.1-9] sent because of a subscribe, a message has RETAIN 1 whatever the option', async () => {
    const topic = unique();
    await retain(topic, 'x');
    for (const retainAsPublished of [true, false]) {
      const client = await suite.client();
      await client.subscribe([{ filter: topic, qos: 1, retainAsPublished }]);
      await client.receive({ topic, retain: true });
    }
  });

  test('[MQTT-3.3.4-3] a retained delivery carries the identifier of its subscription', async () => {
    const topic = unique();
    await retain(topic, 'x');
    const client = await suite.client();
    await client.subscribe(topic, 1, { properties: { subscriptionIdentifier: 77 } });
    const message = await client.receive({ topic, retain: true });
    assert.deepEqual(message.properties.subscriptionIdentifiers, [77]);
  });

  test('[MQTT-3.3.1-9] [MQTT-3.3.4-9] all of 200 retained messages come, paced by the window', async () => {
    const stem = unique();
    const publisher = await suite.client();
    const count = 200;
    for (let index = 0; index < count; index += 1) {
      publisher.sendPublish({ topic: `${stem}/${index}`, payload: 'x', retain: true });
    }
    await publisher.ping();
    await publisher.publish(`${stem}/last`, 'x', { qos: 1, retain: true });
    const client = await suite.client({ properties: { receiveMaximum: 3 } });
    await client.subscribe(`${stem}/#`, 1);
    const seen = new Set<string>();
    while (seen.size < count + 1) seen.add((await client.receive({ retain: true })).topic);
    await suite.nothingElse(client);
  });
});
