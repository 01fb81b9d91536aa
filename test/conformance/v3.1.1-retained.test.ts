// MQTT 3.1.1, 3.3.1.3: retained messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

/** A new subscription to the topics gets what another topic retains, and nothing else. */
async function expectNoneRetained(...topics: string[]): Promise<void> {
  const client = await suite.client();
  const marker = unique('marker');
  await client.publish(marker, 'there', { qos: 1, retain: true });
  await client.subscribe([...topics, marker], 2);
  await client.receive({ topic: marker, retain: true });
  await client.expectNothing();
}

test('[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] a retained message and its QoS are kept for new subscriptions', async () => {
  const publisher = await suite.client();
  for (const qos of [0, 1, 2] as const) {
    const topic = unique();
    await publisher.publish(topic, 'kept', { qos, retain: true });
    if (qos === 0) await publisher.ping();
    for (let index = 0; index < 2; index += 1) {
      const subscriber = await suite.client();
      await subscriber.subscribe(topic, 2);
      await subscriber.receive({ topic, payload: 'kept', qos, retain: true, dup: false });
      await subscriber.expectNothing();
    }
  }
});

test('[MQTT-3.3.1-5] [MQTT-3.8.4-6] a retained message comes at the lower of its QoS and the granted one', async () => {
  const publisher = await suite.client();
  const topic = unique();
  await publisher.publish(topic, 'kept', { qos: 2, retain: true });
  for (const qos of [0, 1, 2] as const) {
    const subscriber = await suite.client();
    await subscriber.subscribe(topic, qos);
    await subscriber.receive({ topic, payload: 'kept', qos, retain: true });
  }
});

test('[MQTT-3.3.1-6] a filter with wildcards gets the last message of every topic that matches', async () => {
  const publisher = await suite.client();
  const stem = unique();
  for (const round of ['old', 'new']) {
    for (let index = 0; index < 30; index += 1) {
      const topic = `${stem}/${index}`;
      await publisher.publish(topic, `${round} ${index}`, { qos: 1, retain: true });
    }
  }
  await publisher.publish(`${stem}-other`, 'x', { qos: 1, retain: true });
  for (const filter of [`${stem}/#`, `${stem}/+`]) {
    const subscriber = await suite.client();
    await subscriber.subscribe(filter, 1);
    const got = new Set<string>();
    for (let index = 0; index < 30; index += 1) {
      const { topic, payload, retain } = await subscriber.receive();
      assert.equal(payload.toString(), `new ${topic.slice(stem.length + 1)}`);
      assert.ok(retain);
      got.add(topic);
    }
    assert.equal(got.size, 30);
    await subscriber.expectNothing();
  }
});

test('[MQTT-3.3.1-6] [MQTT-4.7.2-1] wildcards in front do not get retained $ topics', async () => {
  const publisher = await suite.client();
  const name = unique();
  await publisher.publish(`$x/${name}`, 'x', { qos: 1, retain: true });
  const subscriber = await suite.client();
  await subscriber.subscribe(`+/${name}`, 1);
  await subscriber.expectNothing();
  await subscriber.subscribe(`$x/${name}`, 1);
  await subscriber.receive({ topic: `$x/${name}`, retain: true });
});

test('[MQTT-3.3.1-7] a retained QoS 0 message replaces what was retained', async () => {
  const publisher = await suite.client();
  const topic = unique();
  await publisher.publish(topic, 'old', { qos: 1, retain: true });
  await publisher.publish(topic, 'new', { qos: 0, retain: true });
  await publisher.ping();
  const subscriber = await suite.client();
  await subscriber.subscribe(topic, 1);
  await subscriber.receive({ payload: 'new', qos: 0, retain: true });
  await subscriber.expectNothing();
});

test('[MQTT-3.3.1-9] RETAIN is 0 on what an established subscription gets', async () => {
  const subscriber = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await subscriber.subscribe(topic, 2);
  for (const qos of [0, 1, 2] as const) {
    await publisher.publish(topic, `${qos}`, { qos, retain: true });
    await subscriber.receive({ topic, qos, payload: `${qos}`, retain: false });
  }
});

test('[MQTT-3.3.1-9] RETAIN is 0 on a retained message that waited for an absent session', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(topic, 'kept', { qos: 1, retain: true });
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.receive({ topic, payload: 'kept', retain: false });
  await second.expectNothing();
});

test('[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty retained message is delivered, removes, and is not kept', async () => {
  const publisher = await suite.client();
  for (const qos of [0, 1, 2] as const) {
    const topic = unique();
    await publisher.publish(topic, 'kept', { qos: 1, retain: true });
    const subscriber = await suite.client();
    await subscriber.subscribe(topic, 2);
    await subscriber.receive({ payload: 'kept', retain: true });
    await publisher.publish(topic, '', { qos, retain: true });
    await subscriber.receive({ topic, payload: '', retain: false });
    await expectNoneRetained(topic);
  }
});

test('[MQTT-3.3.1-11] an empty message is not retained where nothing was', async () => {
  const publisher = await suite.client();
  const topic = unique();
  await publisher.publish(topic, '', { qos: 1, retain: true });
  await expectNoneRetained(topic);
});

test('[MQTT-3.3.1-12] a message without RETAIN neither is kept nor replaces nor removes', async () => {
  const publisher = await suite.client();
  const [kept, none] = [unique(), unique()];
  await publisher.publish(kept, 'kept', { qos: 1, retain: true });
  for (const topic of [kept, none]) {
    await publisher.publish(topic, 'passing', { qos: 1 });
    await publisher.publish(topic, '', { qos: 1 });
    await publisher.publish(topic, '', { qos: 0 });
  }
  await publisher.ping();
  const subscriber = await suite.client();
  await subscriber.subscribe([kept, none], 1);
  await subscriber.receive({ topic: kept, payload: 'kept', retain: true });
  await subscriber.expectNothing();
});

test('[MQTT-3.8.4-3] subscribing again sends the retained messages again', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.publish(topic, 'kept', { qos: 1, retain: true });
  for (let index = 0; index < 3; index += 1) {
    await client.subscribe(topic, 1);
    await client.receive({ topic, payload: 'kept', retain: true });
  }
  await client.expectNothing();
});

test('[MQTT-3.3.1-6] a resumed session gets no retained messages without subscribing again', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.publish(topic, 'kept', { qos: 1, retain: true });
  await first.subscribe(topic, 1);
  await first.receive({ payload: 'kept', retain: true });
  await first.ping();
  await first.disconnect();
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.expectNothing();
});

test('[MQTT-3.3.1-6] more retained messages than fit a window all arrive', async () => {
  const count = 3000;
  const publisher = await suite.client();
  const stem = unique();
  for (let index = 0; index < count; index += 1) {
    publisher.sendPublish({ topic: `${stem}/${index}`, payload: 'r', retain: true });
  }
  await publisher.publish(`${stem}/last`, 'r', { qos: 1, retain: true });
  const subscriber = await suite.client();
  await subscriber.subscribe(`${stem}/#`, 1);
  const got = new Set<string>();
  while (got.size <= count) {
    const { topic, retain } = await subscriber.receive();
    assert.ok(retain && !got.has(topic), topic);
    got.add(topic);
  }
  await subscriber.expectNothing();
});
