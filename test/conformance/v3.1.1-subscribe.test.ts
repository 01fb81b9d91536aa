// MQTT 3.1.1, 3.8 to 3.11: SUBSCRIBE and UNSUBSCRIBE.
import { test } from 'node:test';
import { packet, subscribe, unsubscribe } from '../harness/packets.ts';
import { prefixed, u16, u8 } from '../harness/properties.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

test('[MQTT-3.8.3-3] [MQTT-4.8.0-1] a SUBSCRIBE without a filter closes', async () => {
  await suite.closesOn(subscribe({ filters: [] }));
  await suite.closesOn(packet('subscribe', 2));
});

test('[MQTT-3.10.3-2] [MQTT-4.8.0-1] an UNSUBSCRIBE without a filter closes', async () => {
  await suite.closesOn(unsubscribe({ filters: [] }));
  await suite.closesOn(packet('unsubscribe', 2));
});

test('[MQTT-3.8.3-4] QoS 3 or a reserved bit in a SUBSCRIBE closes', async () => {
  for (const options of [3, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff]) {
    await suite.closesOn(subscribe({ filters: [{ filter: 'a', options }] }));
  }
  await suite.closesOn(subscribe({ filters: ['a', { filter: 'b', options: 3 }] }));
});

test('[MQTT-3.8.3-4] nothing of a SUBSCRIBE that closes is kept', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  first.sendSubscribe({ filters: [topic, { filter: topic, options: 3 }] });
  await first.expectClose();
  const second = await suite.client({ clientId, clean: false });
  second.sendPublish({ topic });
  await second.expectNothing();
});

test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.9.3-2] SUBSCRIBE is answered with the QoS that was granted', async () => {
  const client = await suite.client();
  for (const qos of [0, 1, 2]) {
    const packetId = 100 + qos;
    client.sendSubscribe({ packetId, filters: [{ filter: unique(), qos }] });
    await client.expect('suback', { packetId, reasons: [qos] });
  }
});

test('[MQTT-3.9.3-1] [MQTT-3.8.4-4] [MQTT-3.8.4-5] codes are in the order of the filters', async () => {
  const client = await suite.client();
  const stem = unique();
  const wanted = [2, 0, 1, 1, 0, 2, 2];
  const filters = wanted.map((qos, index) => ({ filter: `${stem}/${index}`, qos }));
  client.sendSubscribe({ packetId: 77, filters });
  await client.expect('suback', { packetId: 77, reasons: wanted });
  for (const [index, qos] of wanted.entries()) {
    await client.publish(`${stem}/${index}`, 'x', { qos: 2 });
    await client.find('publish', { topic: `${stem}/${index}`, qos: qos as 0 | 1 | 2 });
  }
});

test('[MQTT-3.8.4-4] 500 filters in one SUBSCRIBE, and in one UNSUBSCRIBE', async () => {
  const client = await suite.client();
  const stem = unique();
  const filters = Array.from({ length: 500 }, (_, index) => `${stem}/${index}`);
  await client.subscribe(filters, 1);
  for (const index of [0, 250, 499]) {
    client.sendPublish({ topic: `${stem}/${index}`, payload: 'x' });
    await client.expect('publish', { topic: `${stem}/${index}` });
  }
  await client.unsubscribe(...filters);
  for (const index of [0, 250, 499]) client.sendPublish({ topic: `${stem}/${index}` });
  await client.expectNothing();
});

test('[MQTT-3.8.4-4] the same filter twice in one SUBSCRIBE: the second counts', async () => {
  const client = await suite.client();
  const filter = unique();
  await client.subscribe([
    { filter, qos: 2 },
    { filter, qos: 0 },
  ]);
  await client.publish(filter, 'x', { qos: 2 });
  await client.find('publish', { topic: filter, qos: 0 });
  await client.expectNothing();
});

test('[MQTT-3.8.4-3] the same filter again replaces the subscription', async () => {
  const client = await suite.client();
  const topic = unique();
  for (const qos of [0, 2, 1] as const) {
    await client.subscribe(topic, qos);
    const publisher = await suite.client();
    await publisher.publish(topic, `${qos}`, { qos: 2 });
    await client.receive({ topic, qos, payload: `${qos}` });
    await client.expectNothing();
  }
  await client.unsubscribe(topic);
  await client.publish(topic, 'x', { qos: 2 });
  await client.expectNothing();
});

test('[MQTT-3.8.4-3] subscribing again does not interrupt the flow', async () => {
  const count = 200;
  const client = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 1);
  const publishing = (async () => {
    for (let index = 0; index < count; index += 1) {
      await publisher.publish(topic, `${index}`, { qos: 1 });
    }
  })();
  for (let index = 0; index < count; index += 1) {
    if (index % 10 === 0)
      client.sendSubscribe({ packetId: 1000, filters: [{ filter: topic, qos: 1 }] });
    const { packetId } = await client.find('publish', { payload: `${index}` });
    client.sendAck('puback', packetId);
  }
  await publishing;
});

test('[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBSCRIBE is answered, also where there was nothing', async () => {
  const client = await suite.client();
  const topic = unique();
  await client.subscribe(topic);
  for (const packetId of [500, 501]) {
    client.sendUnsubscribe({ packetId, filters: [topic] });
    await client.expect('unsuback', { packetId });
  }
  client.sendUnsubscribe({ packetId: 502, filters: ['never/+/subscribed/#'] });
  await client.expect('unsuback', { packetId: 502 });
});

test('[MQTT-3.10.4-1] filters to unsubscribe are compared character by character', async () => {
  const client = await suite.client();
  const stem = unique();
  await client.subscribe([`${stem}/a`, `${stem}/+/b`]);
  await client.unsubscribe(`${stem}/#`, `${stem}/+`, `${stem}/A`, `${stem}/a/`, `${stem}/x/b`);
  for (const topic of [`${stem}/a`, `${stem}/x/b`]) {
    client.sendPublish({ topic });
    await client.expect('publish', { topic });
  }
  await client.unsubscribe(`${stem}/+/b`);
  client.sendPublish({ topic: `${stem}/x/b` });
  client.sendPublish({ topic: `${stem}/a` });
  await client.expect('publish', { topic: `${stem}/a` });
});

test('[MQTT-3.10.4-2] no new messages after UNSUBACK', async () => {
  const client = await suite.client();
  const publisher = await suite.client();
  const [topic, other] = [unique(), unique()];
  await client.subscribe([topic, other], 1);
  await publisher.publish(topic, 'before', { qos: 1 });
  await client.receive({ topic, payload: 'before' });
  await client.unsubscribe(topic);
  await publisher.publish(topic, 'after', { qos: 1 });
  await publisher.publish(other, 'still', { qos: 1 });
  await client.receive({ topic: other, payload: 'still' });
  await client.expectNothing();
});

test('[MQTT-3.10.4-3] QoS 2 delivery that has begun is completed after UNSUBACK', async () => {
  const client = await suite.client();
  const publisher = await suite.client();
  const topic = unique();
  await client.subscribe(topic, 2);
  await publisher.publish(topic, 'a', { qos: 2 });
  await publisher.publish(topic, 'b', { qos: 2 });
  const a = await client.expect('publish', { payload: 'a' });
  const b = await client.expect('publish', { payload: 'b' });
  client.sendAck('pubrec', a.packetId);
  await client.expect('pubrel', { packetId: a.packetId });
  await client.unsubscribe(topic);
  client.sendAck('pubcomp', a.packetId);
  client.sendAck('pubrec', b.packetId);
  await client.expect('pubrel', { packetId: b.packetId });
  client.sendAck('pubcomp', b.packetId);
  await client.expectNothing();
});

test('[MQTT-3.10.4-3] [MQTT-4.4.0-1] what was sent before UNSUBACK is sent again to a resumed session', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 2);
  const publisher = await suite.client();
  await publisher.publish(topic, 'a', { qos: 1 });
  await publisher.publish(topic, 'b', { qos: 2 });
  const a = await first.expect('publish', { payload: 'a' });
  const b = await first.expect('publish', { payload: 'b' });
  await first.unsubscribe(topic);
  first.destroy();
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.receive({ payload: 'a', dup: true, packetId: a.packetId });
  await second.receive({ payload: 'b', dup: true, packetId: b.packetId });
  await second.expectNothing();
});

test('[MQTT-3.10.4-6] many filters in one UNSUBSCRIBE: all are gone, one UNSUBACK', async () => {
  const client = await suite.client();
  const stem = unique();
  await client.subscribe([`${stem}/a`, `${stem}/b`, `${stem}/c`]);
  client.sendUnsubscribe({
    packetId: 321,
    filters: [`${stem}/a`, `${stem}/none`, `${stem}/c`, `${stem}/a`],
  });
  await client.expect('unsuback', { packetId: 321 });
  for (const name of ['a', 'c', 'b']) client.sendPublish({ topic: `${stem}/${name}` });
  await client.expect('publish', { topic: `${stem}/b` });
  await client.expectNothing();
});

test('[MQTT-3.8.3-1] [MQTT-3.10.3-1] filters that run over the end of the packet close', async () => {
  const cut = [u16(1), prefixed('a'), u8(0), u16(5), Buffer.from('abc')];
  await suite.closesOn(packet('subscribe', 2, cut));
  await suite.closesOn(packet('subscribe', 2, [u16(1), prefixed('a'), u8(0), u8(0)]));
  await suite.closesOn(packet('unsubscribe', 2, [u16(1), prefixed('a'), u16(2), u8(0x61)]));
});
