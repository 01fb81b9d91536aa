// MQTT 3.1.1, chapters 1 and 2: strings, fixed headers, packet identifiers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PacketType } from '../harness/packets.ts';
import {
  ack,
  connect,
  disconnect,
  packet,
  packetTypes,
  pingreq,
  publish,
  subscribe,
  unsubscribe,
} from '../harness/packets.ts';
import type { Bytes } from '../harness/properties.ts';
import { u16 } from '../harness/properties.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';
import { illFormed, withNull } from './samples.ts';

const suite = new Suite();

const stringsOfConnect: readonly [string, (text: Bytes) => Buffer][] = [
  ['client id', (text) => connect({ clientId: text })],
  ['will topic', (text) => connect({ clientId: unique(), will: { topic: text } })],
  ['user name', (text) => connect({ clientId: unique(), username: text })],
];
const stringsOfOthers: readonly [string, (text: Bytes) => Buffer][] = [
  ['topic name', (text) => publish({ topic: text })],
  ['topic name at QoS 1', (text) => publish({ topic: text, qos: 1 })],
  ['topic filter', (text) => subscribe({ filters: [{ filter: text }] })],
  ['second topic filter', (text) => subscribe({ filters: ['a', { filter: text }] })],
  ['topic filter to unsubscribe', (text) => unsubscribe({ filters: [text] })],
];

for (const [field, build] of stringsOfConnect) {
  test(`[MQTT-1.5.3-1] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] an ill-formed ${field} closes`, async () => {
    for (const [, bytes] of illFormed) await suite.refuses(build(bytes));
  });
  test(`[MQTT-1.5.3-2] U+0000 in the ${field} closes`, async () => {
    await suite.refuses(build(withNull));
  });
}

for (const [field, build] of stringsOfOthers) {
  test(`[MQTT-1.5.3-1] [MQTT-3.3.2-1] [MQTT-3.8.3-1] [MQTT-3.10.3-1] an ill-formed ${field} closes`, async () => {
    for (const [, bytes] of illFormed) await suite.closesOn(build(bytes));
  });
  test(`[MQTT-1.5.3-2] [MQTT-4.7.3-2] U+0000 in the ${field} closes`, async () => {
    await suite.closesOn(build(withNull));
  });
}

test('[MQTT-1.5.3-3] EF BB BF is a character like others, in topics and filters', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe([`\uFEFF${topic}`, `${topic}/\uFEFF`]);
  client.sendPublish({ topic, payload: 'without' });
  client.sendPublish({ topic: `${topic}/`, payload: 'without' });
  client.sendPublish({ topic: `\uFEFF${topic}`, payload: 'in front' });
  client.sendPublish({ topic: `${topic}/\uFEFF`, payload: 'behind' });
  await client.expect('publish', { topic: `\uFEFF${topic}`, payload: 'in front' });
  await client.expect('publish', { topic: `${topic}/\uFEFF`, payload: 'behind' });
});

const legalFlags: Partial<Record<PacketType, number>> = { pubrel: 2, subscribe: 2, unsubscribe: 2 };
const bodies: Partial<Record<PacketType, Buffer>> = {
  puback: u16(1),
  pubrec: u16(1),
  pubrel: u16(1),
  pubcomp: u16(1),
  subscribe: subscribe({ filters: ['a'] }).subarray(2),
  unsubscribe: unsubscribe({ filters: ['a'] }).subarray(2),
  pingreq: Buffer.alloc(0),
  disconnect: Buffer.alloc(0),
};
const ids: Partial<Record<PacketType, string>> = {
  pubrel: '[MQTT-3.6.1-1] ',
  subscribe: '[MQTT-3.8.1-1] ',
  unsubscribe: '[MQTT-3.10.1-1] ',
  disconnect: '[MQTT-3.14.1-1] ',
};

for (const [type, body] of Object.entries(bodies) as [PacketType, Buffer][]) {
  test(`[MQTT-2.2.2-1] [MQTT-2.2.2-2] ${ids[type] ?? ''}${type} with wrong flags closes`, async () => {
    for (let flags = 0; flags < 16; flags += 1) {
      if (flags !== (legalFlags[type] ?? 0)) await suite.closesOn(packet(type, flags, body));
    }
  });
}

test('[MQTT-2.2.2-2] CONNECT with wrong flags closes', async () => {
  for (let flags = 1; flags < 16; flags += 1) {
    await suite.refuses(connect({ clientId: unique(), flags }));
  }
});

test('[MQTT-4.8.0-1] a packet that only a server sends, or a reserved type, closes', async () => {
  for (const type of ['connack', 'suback', 'unsuback', 'pingresp'] as const) {
    await suite.closesOn(packet(packetTypes[type], 0, [u16(1), Buffer.from([0])]));
  }
  await suite.closesOn(packet(0, 0));
  await suite.closesOn(packet(15, 0));
});

test('[MQTT-4.8.0-1] a remaining length of more than four bytes closes', async () => {
  await suite.closesOn(packet('publish', 0, [], Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01])));
  await suite.closesOn(packet('pingreq', 0, [], Buffer.from([0x80, 0x80, 0x80, 0x80, 0x00])));
  await suite.refuses(packet('connect', 0, [], Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01])));
});

test('[MQTT-4.8.0-1] a packet that is shorter than its fields closes', async () => {
  const whole: Buffer[] = [
    publish({ topic: 'abc' }).subarray(0, 6),
    publish({ topic: 'abc', qos: 1 }).subarray(0, 8),
    subscribe({ filters: ['abc'] }).subarray(0, -1),
    subscribe({ filters: ['abc'] }).subarray(0, -3),
    unsubscribe({ filters: ['abc'] }).subarray(0, -1),
    ack('puback', { packetId: 1 }).subarray(0, -1),
    ack('pubrel', { packetId: 1 }).subarray(0, -1),
  ];
  for (const bytes of whole) {
    const first = bytes[0] ?? 0;
    await suite.closesOn(packet(first >> 4, first & 15, bytes.subarray(2)));
  }
  for (const type of ['publish', 'puback', 'pubrec', 'pubcomp'] as const) {
    await suite.closesOn(packet(type, 0));
  }
});

test('[MQTT-4.8.0-1] a packet that is longer than its fields closes', async () => {
  const extra = Buffer.from([0]);
  for (const type of ['puback', 'pubrec', 'pubcomp'] as const) {
    await suite.closesOn(packet(type, 0, [u16(1), extra]));
  }
  await suite.closesOn(packet('pubrel', 2, [u16(1), extra]));
  await suite.closesOn(packet('pingreq', 0, extra));
  await suite.closesOn(packet('disconnect', 0, extra));
});

test('[MQTT-2.3.1-1] packet id 0 closes', async () => {
  await suite.closesOn(publish({ topic: unique(), qos: 1, packetId: 0 }));
  await suite.closesOn(publish({ topic: unique(), qos: 2, packetId: 0 }));
  await suite.closesOn(subscribe({ packetId: 0, filters: ['a'] }));
  await suite.closesOn(unsubscribe({ packetId: 0, filters: ['a'] }));
});

test('[MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] ids of the server are not 0 and not in use', async () => {
  const subscriber = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await subscriber.subscribe(topic, 2);
  const used = new Set<number>();
  for (let index = 0; index < 20; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: index % 2 === 0 ? 1 : 2 });
  }
  for (let index = 0; index < 20; index += 1) {
    const { packetId } = await subscriber.expect('publish', { dup: false });
    assert.ok(packetId > 0 && !used.has(packetId), `id ${packetId} of message ${index}`);
    used.add(packetId);
  }
});

test('[MQTT-2.3.1-5] a QoS 0 PUBLISH has no packet id, either way', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 2);
  client.sendPublish({ topic, packetId: 0x4142, payload: 'c' });
  await client.expect('publish', { topic, qos: 0, payload: 'ABc' });
});

test('[MQTT-2.3.1-6] [MQTT-2.3.1-7] [MQTT-3.8.4-2] [MQTT-3.10.4-4] answers carry the packet id of what they answer', async () => {
  const client = await suite.client();
  for (const packetId of [1, 255, 256, 0x1234, 65535]) {
    const topic = unique();
    client.sendPublish({ topic, qos: 1, packetId });
    await client.expect('puback', { packetId });
    client.sendPublish({ topic, qos: 2, packetId });
    await client.expect('pubrec', { packetId });
    client.sendAck('pubrel', packetId);
    await client.expect('pubcomp', { packetId });
    client.sendSubscribe({ packetId, filters: [topic] });
    await client.expect('suback', { packetId });
    client.sendUnsubscribe({ packetId, filters: [topic] });
    await client.expect('unsuback', { packetId });
  }
});

test('packets in single bytes, and all in one write, are the same packets', async () => {
  const packets = (topic: string): Buffer =>
    Buffer.concat([
      connect({ clientId: unique() }),
      subscribe({ packetId: 7, filters: [topic] }),
      publish({ topic, payload: 'x'.repeat(300) }),
      pingreq(),
    ]);
  const topics = [unique(), unique()] as const;
  const atOnce = await suite.open();
  atOnce.send(packets(topics[0]));
  const slowly = await suite.open();
  for (const byte of packets(topics[1])) {
    slowly.send(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  for (const [index, client] of [atOnce, slowly].entries()) {
    const topic = topics[index] ?? '';
    await client.expect('connack', { reason: 0 });
    await client.find('suback', { packetId: 7 });
    await client.find('publish', { topic, payload: 'x'.repeat(300) });
    await client.find('pingresp');
    client.send(disconnect());
    await client.expectClose();
  }
});
