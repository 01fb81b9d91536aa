// MQTT 3.1.1, 3.3: PUBLISH, and 4.7: topic names and filters.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Qos } from '../harness/packets.ts';
import { packet, publish, subscribe, unsubscribe } from '../harness/packets.ts';
import { clusterOnly, embeddedOnly } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

test('[MQTT-3.3.1-4] QoS 3 closes', async () => {
  await suite.closesOn(publish({ topic: 'a', qos: 3 }));
  await suite.closesOn(publish({ topic: 'a', qos: 3, dup: true, retain: true }));
});

test('[MQTT-3.3.1-2] DUP at QoS 0 closes', async () => {
  await suite.closesOn(publish({ topic: 'a', dup: true }));
});

test("[MQTT-3.3.1-3] [MQTT-3.3.1-2] a publisher's DUP is not passed on", async () => {
  const subscriber = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await subscriber.subscribe(topic, 2);
  publisher.sendPublish({ topic, qos: 1, dup: true, packetId: 3, payload: 'a' });
  await publisher.expect('puback', { packetId: 3 });
  publisher.sendPublish({ topic, qos: 2, dup: true, packetId: 4, payload: 'b' });
  await publisher.expect('pubrec', { packetId: 4 });
  publisher.sendAck('pubrel', 4);
  await publisher.expect('pubcomp', { packetId: 4 });
  await subscriber.receive({ payload: 'a', dup: false });
  await subscriber.receive({ payload: 'b', dup: false });
});

test('[MQTT-3.3.2-1] a PUBLISH without a whole topic name closes', async () => {
  await suite.closesOn(packet('publish', 0));
  await suite.closesOn(packet('publish', 0, Buffer.from([0])));
  await suite.closesOn(packet('publish', 0, Buffer.from([0, 3, 0x61, 0x62])));
});

test('[MQTT-3.3.2-2] [MQTT-4.7.1-1] a wildcard in a topic name closes', async () => {
  for (const topic of ['#', '+', 'a/#', 'a/+', '+/a', 'a/+/b', 'a#', 'a+b', '$SYS/#']) {
    for (const qos of [0, 1, 2]) await suite.closesOn(publish({ topic, qos }));
  }
});

test('[MQTT-4.7.3-1] an empty topic name or filter closes', async () => {
  for (const qos of [0, 1, 2]) await suite.closesOn(publish({ topic: '', qos }));
  await suite.closesOn(subscribe({ filters: [''] }));
  await suite.closesOn(subscribe({ filters: ['a', ''] }));
  await suite.closesOn(unsubscribe({ filters: [''] }));
});

test('[MQTT-3.3.4-1] each QoS has its answer', async () => {
  const client = await suite.client();
  const topic = unique();
  client.sendPublish({ topic });
  await client.expectNothing();
  client.sendPublish({ topic, qos: 1, packetId: 10 });
  await client.expect('puback', { packetId: 10 });
  client.sendPublish({ topic, qos: 2, packetId: 11 });
  await client.expect('pubrec', { packetId: 11 });
  client.sendAck('pubrel', 11);
  await client.expect('pubcomp', { packetId: 11 });
  await client.expectNothing();
});

test('[MQTT-3.8.4-6] [MQTT-4.3.1-1] delivery QoS is the lower of the two', async () => {
  const publisher = await suite.client();
  for (const granted of [0, 1, 2] as const) {
    const subscriber = await suite.client();
    const topic = unique();
    await subscriber.subscribe(topic, granted);
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(topic, `${qos}`, { qos });
      const delivered = Math.min(qos, granted) as Qos;
      await subscriber.receive({ topic, payload: `${qos}`, qos: delivered, dup: false });
    }
  }
});

// One copy is our choice of the two that the specification leaves.
test('[MQTT-3.3.5-1] overlapping subscriptions: the highest QoS of them, and one copy', async () => {
  const subscriber = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await subscriber.subscribe([
    { filter: `${topic}/#`, qos: 0 },
    { filter: `${topic}/+`, qos: 2 },
    { filter: `${topic}/a`, qos: 1 },
  ]);
  for (const qos of [2, 1, 0] as const) {
    await publisher.publish(`${topic}/a`, `${qos}`, { qos });
    await subscriber.receive({ topic: `${topic}/a`, qos, payload: `${qos}` });
  }
  await subscriber.expectNothing();
});

test('a publisher that subscribes gets its own messages', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 1);
  await client.publish(topic, 'own', { qos: 1 });
  await client.receive({ topic, payload: 'own', retain: false });
});

test('payloads of no byte, of every byte and of many bytes arrive as they are', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 2);
  const all = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  // Around the sizes at which the remaining length takes one byte more.
  const sizes = [0, 1, 90, 91, 92, 93, 94, 95, 96, 127, 128, 16_340, 16_383, 16_384, 300_000];
  const payloads = [all, ...sizes.map((size) => Buffer.alloc(size, 0xa5))];
  for (const payload of payloads) {
    for (const qos of [0, 1, 2] as const) {
      await client.publish(topic, payload, { qos });
      const message = await client.find('publish', { topic, qos });
      assert.ok(message.payload.equals(payload), `${payload.length} bytes at QoS ${qos}`);
      if (qos === 1) client.sendAck('puback', message.packetId);
      if (qos === 2) {
        client.sendAck('pubrec', message.packetId);
        await client.expect('pubrel');
        client.sendAck('pubcomp', message.packetId);
      }
    }
  }
});

const matching: readonly [filter: string, yes: readonly string[], no: readonly string[]][] = [
  ['#', ['a', 'a/b', '/', '//', '/a', 'a/'], ['$a', '$a/b', '$SYS/x']],
  ['+', ['a', 'b c'], ['a/b', '/', '/a', 'a/', '$a']],
  ['a/#', ['a', 'a/', 'a/b', 'a/b/c', 'a//'], ['b', 'ab', '/a', 'A/b']],
  ['+/#', ['a', 'a/b', '/', '/a'], ['$a', '$a/b']],
  ['+/+', ['a/b', '/', '/a', 'a/'], ['a', 'a/b/c', '$a/b']],
  ['/+', ['/', '/a'], ['a', 'a/b', '/a/b']],
  ['+/b', ['a/b', '/b'], ['b', 'a/b/', '$a/b']],
  ['a/+', ['a/b', 'a/'], ['a', 'a/b/c']],
  ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c', 'a/b/c/']],
  ['a/+/#', ['a/b', 'a/', 'a/b/c', 'a//c'], ['a', 'b/b']],
  ['a/b', ['a/b'], ['a', 'a/b/', '/a/b', 'a/B', 'a//b']],
  ['a//b', ['a//b'], ['a/b', 'a/ /b']],
  ['/', ['/'], ['a', '//', '/a']],
  ['//#', ['/', '//', '///a'], ['a', '/a/b']],
  [' ', [' '], ['a', '  ']],
  ['$a/#', ['$a', '$a/b'], ['a', 'a/b', '$A/b']],
  ['$a/+', ['$a/b'], ['$a', '$a/b/c']],
  ['a/$b/+', ['a/$b/c'], ['a/b/c']],
  ['a/+', ['a/$b'], []],
];

test('[MQTT-3.3.2-3] [MQTT-4.7.1-3] [MQTT-4.7.2-1] [MQTT-3.8.3-2] filters match what they have to, and nothing else', async () => {
  const publisher = await suite.client();
  for (const [filter, yes, no] of matching) {
    const subscriber = await suite.subscriber(filter);
    const marker = unique('marker');
    await subscriber.subscribe(marker);
    for (const topic of [...no, ...yes, marker]) publisher.sendPublish({ topic, payload: filter });
    for (const topic of yes) await subscriber.expect('publish', { topic, payload: filter });
    await subscriber.expect('publish', { topic: marker });
    subscriber.destroy();
  }
});

test('[MQTT-4.7.1-2] a # that is not a last level of its own closes', async () => {
  for (const filter of ['a#', '#a', 'a/#/b', '#/', '##', 'a/b#', 'a/#b', '/a/##', '+#']) {
    await suite.closesOn(subscribe({ filters: [filter] }));
  }
});

test('[MQTT-4.7.1-3] a + that is not a level of its own closes', async () => {
  for (const filter of ['a+', '+a', 'a/+b', 'a/b+/c', '++', 'a/++']) {
    await suite.closesOn(subscribe({ filters: [filter] }));
  }
});

const long = embeddedOnly('RocketMQ stores 32,767 bytes of properties, the topic name among them');

test('[MQTT-4.7.3-3] topic names and filters of 65,535 bytes', long, async () => {
  const client = await suite.client();
  for (const topic of ['t'.repeat(65_535), `${'ü'.repeat(32_767)}t`]) {
    await client.subscribe(topic, 1);
    await client.publish(topic, 'x', { qos: 1 });
    await client.receive({ topic, payload: 'x' });
    await client.unsubscribe(topic);
    await client.subscribe(`${topic.slice(0, -2)}/#`, 1);
    await client.publish(`${topic.slice(0, -2)}/y`, 'z', { qos: 1 });
    await client.receive({ payload: 'z' });
  }
});

test(
  'topic names as long as RocketMQ can store, and filters that match no such one',
  clusterOnly,
  async () => {
    const client = await suite.client({ version: 5 });
    for (const [letter, length] of [
      ['t', 30_000],
      ['ü', 15_000],
    ] as const) {
      const topic = letter.repeat(length);
      await client.subscribe([topic, `${topic}/#`], 1);
      await client.publish(topic, 'x', { qos: 1 });
      await client.receive({ topic, payload: 'x' });
      await client.publish(`${topic}/y`, 'y', { qos: 2 });
      await client.receive({ payload: 'y', qos: 1 });
    }
    const topic = 't'.repeat(65_535);
    const filters = [topic, `${topic.slice(0, -2)}/#`];
    await client.subscribe(filters, 1, { reasons: [0x8f, 0x8f] });
    await client.subscribe('+', 0);
    client.sendPublish({ topic, qos: 1, packetId: 70 });
    await client.expect('puback', { packetId: 70, reason: 0x97 });
    client.sendPublish({ topic, qos: 2, packetId: 71 });
    await client.expect('pubrec', { packetId: 71, reason: 0x97 });
    // Nobody is told of QoS 0.
    client.sendPublish({ topic, payload: 'at most once' });
    await client.find('publish', { topic, payload: 'at most once' });
    const metrics = await suite.broker.metrics();
    const refused = metrics.get('lmqtt_rocketmq_appends_failed_total{reason="not storable"}') ?? 0;
    assert.ok(refused >= 2, `${refused} were counted`);
    // 3.1.1 has no other way to say it.
    const old = await suite.client();
    await old.subscribe(topic, 1, { reasons: [0x80] });
    old.sendPublish({ topic, qos: 1, packetId: 72 });
    await old.expectClose();
  },
);

test('[MQTT-4.7.3-4] names that only look the same are not the same', async () => {
  const client = await suite.client();
  const stem = unique();
  // One character and a letter with a combining mark; cases; a ligature; a full-width slash.
  const names = ['\u00e9', 'e\u0301', '\u00c9', 'ﬁ', 'fi', 'a／b', 'a/b', '\u200b', 'K', '\u212a'];
  await client.subscribe(names.map((name) => `${stem}/${name}`));
  for (const name of names) {
    client.sendPublish({ topic: `${stem}/${name}`, payload: name });
    await client.expect('publish', { topic: `${stem}/${name}`, payload: name });
    await client.expectNothing();
    await client.unsubscribe(`${stem}/${name}`);
    client.sendPublish({ topic: `${stem}/${name}`, payload: name });
    await client.expectNothing();
  }
});

test('[MQTT-4.7.1-1] other characters that are special elsewhere are not in topic names', async () => {
  const client = await suite.client();
  const stem = unique();
  await client.subscribe(`${stem}/#`);
  for (const name of [' ', '日本', '🙂', '\\', '"', '%2f', '*', '?']) {
    client.sendPublish({ topic: `${stem}/${name}` });
    await client.expect('publish', { topic: `${stem}/${name}` });
  }
});
