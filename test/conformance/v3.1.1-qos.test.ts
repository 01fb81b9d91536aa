// MQTT 3.1.1, 4.3 to 4.6: the handshakes of QoS 1 and 2 at every step, redelivery, order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publish } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

interface Session {
  readonly clientId: string;
  readonly topic: string;
  readonly client: RawClient;
  readonly publisher: RawClient;
}

/** A persistent session with one subscription at QoS 2, and somebody who publishes to it. */
async function session(): Promise<Session> {
  const clientId = unique();
  const topic = unique();
  const client = await suite.client({ clientId, clean: false });
  await client.subscribe(topic, 2);
  return { clientId, topic, client, publisher: await suite.client() };
}

async function resume(clientId: string): Promise<RawClient> {
  return suite.client({ clientId, clean: false, sessionPresent: true });
}

test('[MQTT-4.3.1-1] [MQTT-3.3.1-2] QoS 0 is sent with DUP 0, once, and not kept', async () => {
  const { clientId, topic, client, publisher } = await session();
  await publisher.publish(topic, 'x');
  await client.expect('publish', { payload: 'x', qos: 0, dup: false });
  await client.disconnect();
  const second = await resume(clientId);
  await second.expectNothing();
});

test('[MQTT-4.3.2-1] [MQTT-3.3.1-1] [MQTT-4.4.0-1] QoS 1 is sent again with DUP and its id until PUBACK', async () => {
  const { clientId, topic, client, publisher } = await session();
  await publisher.publish(topic, 'x', { qos: 1 });
  const { packetId } = await client.expect('publish', { payload: 'x', qos: 1, dup: false });
  client.destroy();
  const second = await resume(clientId);
  await second.expect('publish', { payload: 'x', qos: 1, dup: true, packetId });
  await second.disconnect();
  const third = await resume(clientId);
  await third.receive({ payload: 'x', qos: 1, dup: true, packetId });
  await third.ping();
  await third.disconnect();
  const fourth = await resume(clientId);
  await fourth.expectNothing();
});

test('[MQTT-4.3.2-1] a PUBACK of one message leaves the others', async () => {
  const { clientId, topic, client, publisher } = await session();
  for (const payload of ['a', 'b', 'c']) await publisher.publish(topic, payload, { qos: 1 });
  const a = await client.expect('publish', { payload: 'a' });
  const b = await client.expect('publish', { payload: 'b' });
  const c = await client.expect('publish', { payload: 'c' });
  client.sendAck('puback', b.packetId);
  await client.ping();
  client.destroy();
  const second = await resume(clientId);
  await second.receive({ payload: 'a', dup: true, packetId: a.packetId });
  await second.receive({ payload: 'c', dup: true, packetId: c.packetId });
  await second.expectNothing();
});

test('[MQTT-4.3.2-1] a PUBACK for an id that is not in use changes nothing', async () => {
  const { topic, client, publisher } = await session();
  client.sendAck('puback', 999);
  client.sendAck('pubcomp', 998);
  await client.ping();
  await publisher.publish(topic, 'x', { qos: 1 });
  await client.receive({ payload: 'x' });
});

test('[MQTT-4.3.2-2] QoS 1: the id is free after PUBACK, whatever DUP says', async () => {
  const { topic, client, publisher } = await session();
  for (const [index, dup] of [false, true, true, false].entries()) {
    publisher.sendPublish({ topic, qos: 1, packetId: 7, dup, payload: `${index}` });
    await publisher.expect('puback', { packetId: 7 });
    await client.receive({ payload: `${index}`, dup: false });
  }
});

test('[MQTT-4.3.3-1] QoS 2: PUBLISH again until PUBREC, then PUBREL again until PUBCOMP', async () => {
  const { clientId, topic, client, publisher } = await session();
  await publisher.publish(topic, 'x', { qos: 2 });
  const { packetId } = await client.expect('publish', { payload: 'x', qos: 2, dup: false });
  client.destroy();

  const second = await resume(clientId);
  await second.expect('publish', { payload: 'x', qos: 2, dup: true, packetId });
  second.sendAck('pubrec', packetId);
  await second.expect('pubrel', { packetId });
  second.destroy();

  const third = await resume(clientId);
  await third.expect('pubrel', { packetId });
  await third.expectNothing();
  third.destroy();

  const fourth = await resume(clientId);
  await fourth.expect('pubrel', { packetId });
  fourth.sendAck('pubcomp', packetId);
  await fourth.ping();
  await fourth.disconnect();

  const fifth = await resume(clientId);
  await fifth.expectNothing();
});

test('[MQTT-4.3.3-1] QoS 2: a second PUBREC gets PUBREL again, never PUBLISH', async () => {
  const { topic, client, publisher } = await session();
  await publisher.publish(topic, 'x', { qos: 2 });
  const { packetId } = await client.expect('publish', { payload: 'x' });
  for (let index = 0; index < 3; index += 1) {
    client.sendAck('pubrec', packetId);
    await client.expect('pubrel', { packetId });
  }
  client.sendAck('pubcomp', packetId);
  await client.expectNothing();
});

test('[MQTT-4.3.3-2] QoS 2: PUBLISH again before PUBREL gets PUBREC and is delivered once', async () => {
  const { topic, client, publisher } = await session();
  for (const dup of [false, true, true, false]) {
    publisher.sendPublish({ topic, qos: 2, packetId: 9, dup, payload: 'once' });
    await publisher.expect('pubrec', { packetId: 9 });
  }
  publisher.sendAck('pubrel', 9);
  await publisher.expect('pubcomp', { packetId: 9 });
  await publisher.publish(topic, 'then', { qos: 2, packetId: 10 });
  await client.receive({ payload: 'once' });
  await client.receive({ payload: 'then' });
});

test('[MQTT-4.3.3-2] QoS 2: delivered once though the publisher reconnects at each step', async () => {
  const { topic, client } = await session();
  const clientId = unique();
  const first = await suite.client({ clientId, clean: false });
  first.sendPublish({ topic, qos: 2, packetId: 9, payload: 'once' });
  await first.expect('pubrec', { packetId: 9 });
  first.destroy();

  const second = await resume(clientId);
  second.sendPublish({ topic, qos: 2, packetId: 9, dup: true, payload: 'once' });
  await second.expect('pubrec', { packetId: 9 });
  second.destroy();

  const third = await resume(clientId);
  third.sendAck('pubrel', 9);
  await third.expect('pubcomp', { packetId: 9 });
  third.destroy();

  const fourth = await resume(clientId);
  fourth.sendAck('pubrel', 9);
  await fourth.expect('pubcomp', { packetId: 9 });
  await fourth.publish(topic, 'new', { qos: 2, packetId: 9 });
  await client.receive({ payload: 'once' });
  await client.receive({ payload: 'new' });
  await client.expectNothing();
});

test('[MQTT-4.3.3-2] QoS 2: the id is free after PUBCOMP, whatever DUP says', async () => {
  const { topic, client, publisher } = await session();
  for (const dup of [false, true]) {
    publisher.sendPublish({ topic, qos: 2, packetId: 11, dup, payload: `${dup}` });
    await publisher.expect('pubrec', { packetId: 11 });
    publisher.sendAck('pubrel', 11);
    await publisher.expect('pubcomp', { packetId: 11 });
    await client.receive({ payload: `${dup}`, dup: false });
  }
});

test('[MQTT-4.3.3-2] PUBREL for an id that is not in use gets PUBCOMP', async () => {
  const client = await suite.client();
  client.sendAck('pubrel', 4321);
  await client.expect('pubcomp', { packetId: 4321 });
});

test('[MQTT-2.3.1-4] ids of the two directions have nothing to do with each other', async () => {
  const { topic, client, publisher } = await session();
  await publisher.publish(topic, 'to the client', { qos: 2 });
  const { packetId } = await client.expect('publish', { payload: 'to the client' });
  const other = unique();
  client.sendPublish({ topic: other, qos: 2, packetId });
  await client.expect('pubrec', { packetId });
  client.sendAck('pubrec', packetId);
  await client.expect('pubrel', { packetId });
  client.sendAck('pubrel', packetId);
  await client.expect('pubcomp', { packetId });
  client.sendAck('pubcomp', packetId);
  await client.expectNothing();
});

test('[MQTT-4.6.0-1] [MQTT-4.4.0-1] what is sent again is in its first order, with its ids', async () => {
  const { clientId, topic, client, publisher } = await session();
  const count = 30;
  const ids: number[] = [];
  for (let index = 0; index < count; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: index % 3 === 0 ? 2 : 1 });
  }
  for (let index = 0; index < count; index += 1) {
    ids.push((await client.expect('publish', { payload: `${index}`, dup: false })).packetId);
  }
  client.destroy();
  await publisher.publish(topic, 'new', { qos: 1 });
  const second = await resume(clientId);
  for (const [index, packetId] of ids.entries()) {
    await second.expect('publish', { payload: `${index}`, dup: true, packetId });
  }
  await second.expect('publish', { payload: 'new' });
});

test('[MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACK and PUBREC come in the order of the PUBLISH packets', async () => {
  const client = await suite.client();
  const topic = unique();
  for (const [qos, type] of [
    [1, 'puback'],
    [2, 'pubrec'],
  ] as const) {
    const ids = Array.from({ length: 50 }, (_, index) => 1000 + ((index * 37) % 50));
    client.send(...ids.map((packetId) => publish({ topic, qos, packetId, payload: 'x' })));
    for (const packetId of ids) await client.expect(type, { packetId });
  }
});

test('[MQTT-4.6.0-4] PUBREL comes in the order of the PUBREC packets', async () => {
  const { topic, client, publisher } = await session();
  const ids: number[] = [];
  for (let index = 0; index < 20; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: 2 });
    ids.push((await client.expect('publish', { payload: `${index}` })).packetId);
  }
  const order = ids.map((_, index) => ids[(index * 7) % ids.length] ?? 0);
  for (const packetId of order) client.sendAck('pubrec', packetId);
  for (const packetId of order) await client.expect('pubrel', { packetId });
});

for (const qos of [0, 1, 2] as const) {
  test(`[MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT-4.5.0-1] 1,000 messages at QoS ${qos} reach every subscriber in order`, async () => {
    const count = 1000;
    const topic = unique();
    const subscribers = [await suite.client(), await suite.client(), await suite.client()];
    for (const subscriber of subscribers) await subscriber.subscribe(`${topic}/#`, 2);
    const publisher = await suite.client();
    const sending = (async () => {
      for (let index = 0; index < count; index += 1) {
        const packetId = qos === 0 ? {} : { packetId: index + 1 };
        publisher.sendPublish({ topic, qos, payload: `${index}`, ...packetId });
        if (index % 50 === 49) await new Promise(setImmediate);
      }
      if (qos === 0) return;
      for (let index = 0; index < count; index += 1) {
        const packetId = index + 1;
        await publisher.find(qos === 1 ? 'puback' : 'pubrec', { packetId });
        if (qos === 2) publisher.sendAck('pubrel', packetId);
      }
    })();
    for (const subscriber of subscribers) {
      for (let index = 0; index < count; index += 1) {
        const message = await subscriber.find('publish', { topic, qos });
        assert.equal(message.payload.toString(), `${index}`);
        if (qos === 1) subscriber.sendAck('puback', message.packetId);
        if (qos === 2) subscriber.sendAck('pubrec', message.packetId);
      }
    }
    await sending;
  });
}

test('[MQTT-4.6.0-6] messages that waited come before those that come later, in order', async () => {
  const { clientId, topic, client, publisher } = await session();
  await client.disconnect();
  for (let index = 0; index < 100; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: 1 });
  }
  const second = await resume(clientId);
  for (let index = 100; index < 200; index += 1) {
    publisher.sendPublish({ topic, qos: 1, packetId: index, payload: `${index}` });
  }
  for (let index = 0; index < 200; index += 1) await second.receive({ payload: `${index}` });
});

test('[MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-2.3.1-4] ids are used again after they are free', async () => {
  const { topic, client, publisher } = await session();
  const inUse = new Set<number>();
  for (let index = 0; index < 120; index += 1) {
    const qos = index % 2 === 0 ? 1 : 2;
    await publisher.publish(topic, `${index}`, { qos });
    const { packetId } = await client.expect('publish', { payload: `${index}` });
    assert.ok(!inUse.has(packetId), `id ${packetId} is in use`);
    // Every tenth stays open, so that the others have to go around it.
    if (index % 10 === 0) {
      inUse.add(packetId);
    } else if (qos === 1) {
      client.sendAck('puback', packetId);
    } else {
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      client.sendAck('pubcomp', packetId);
    }
  }
});
