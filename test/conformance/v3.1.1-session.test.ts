// MQTT 3.1.1: sessions, what of them is kept and what is not, takeover.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, pingreq } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

test('[MQTT-3.1.2-4] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.1.0-1] clean session 0: a session is made, and resumed with its subscriptions', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false, sessionPresent: false });
  await first.subscribe(topic, 1);
  await first.disconnect();
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.publish(topic, 'x', { qos: 1 });
  await second.receive({ topic, payload: 'x', qos: 1 });
  second.destroy();
  await suite.client({ clientId, clean: false, sessionPresent: true });
});

test('[MQTT-3.1.3-2] sessions belong to client ids, character by character', async () => {
  const clientId = unique('Id');
  const other = clientId.toLowerCase();
  const first = await suite.client({ clientId, clean: false, sessionPresent: false });
  await first.disconnect();
  await suite.client({ clientId: other, clean: false, sessionPresent: false });
  await suite.client({ clientId, clean: false, sessionPresent: true });
});

test('[MQTT-3.1.2-5] [MQTT-4.5.0-1] QoS 1 and 2 messages for an absent session are kept', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe([
    { filter: `${topic}/a`, qos: 2 },
    { filter: `${topic}/+/deep`, qos: 1 },
  ]);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(`${topic}/a`, 'one', { qos: 1 });
  await publisher.publish(`${topic}/a`, 'two', { qos: 2 });
  await publisher.publish(`${topic}/b/deep`, 'three', { qos: 2 });
  await publisher.publish(`${topic}/b`, 'for nobody', { qos: 2 });
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  const got = [await second.receive(), await second.receive(), await second.receive()];
  const text = got.map((m) => `${m.payload.toString()} ${m.qos} ${m.dup}`).sort();
  assert.deepEqual(text, ['one 1 false', 'three 1 false', 'two 2 false']);
  await second.expectNothing();
});

test('[MQTT-3.1.2-5] a session that lost its connection, without DISCONNECT, gets its messages too, in order', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  first.destroy();
  const publisher = await suite.client();
  for (let index = 0; index < 50; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: 1 });
  }
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  for (let index = 0; index < 50; index += 1) {
    await second.expect('publish', { topic, payload: `${index}` });
  }
});

test('[MQTT-3.1.2-6] [MQTT-3.1.4-3] [MQTT-3.2.2-1] clean session 1 discards what was there', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(topic, 'lost', { qos: 1 });
  const second = await suite.client({ clientId, clean: true, sessionPresent: false });
  await second.publish(topic, 'not subscribed', { qos: 1 });
  await second.expectNothing();
  await second.disconnect();
  await suite.client({ clientId, clean: false, sessionPresent: false });
});

test('[MQTT-3.1.2-6] a clean session leaves nothing to a later session', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: true, sessionPresent: false });
  await first.subscribe(topic, 2);
  const publisher = await suite.client();
  await publisher.publish(topic, 'not acknowledged', { qos: 2 });
  await first.expect('publish', { topic });
  first.destroy();
  const second = await suite.client({ clientId, clean: false, sessionPresent: false });
  await publisher.publish(topic, 'not subscribed', { qos: 1 });
  await second.expectNothing();
});

test('[MQTT-3.1.2-6] an open inbound QoS 2 handshake does not outlive a clean session', async () => {
  const clientId = unique();
  const topic = unique();
  const watcher = await suite.client();
  await watcher.subscribe(topic, 2);
  const first = await suite.client({ clientId });
  first.sendPublish({ topic, qos: 2, packetId: 5, payload: 'one' });
  await first.expect('pubrec', { packetId: 5 });
  first.destroy();
  const second = await suite.client({ clientId });
  second.sendPublish({ topic, qos: 2, packetId: 5, payload: 'two' });
  await second.expect('pubrec', { packetId: 5 });
  second.sendAck('pubrel', 5);
  await second.expect('pubcomp', { packetId: 5 });
  await watcher.find('publish', { payload: 'two' });
});

test('[MQTT-3.1.4-2] [MQTT-3.1.3-2] a second connection with the same client id closes the first', async () => {
  for (const clean of [true, false]) {
    const clientId = unique();
    const first = await suite.client({ clientId, clean });
    const second = await suite.client({ clientId, clean, sessionPresent: !clean });
    await first.expectClose();
    await second.ping();
  }
});

test('[MQTT-3.1.4-2] many connections with one client id at once: one is left', async () => {
  const clientId = unique();
  const all = await Promise.all(Array.from({ length: 10 }, async () => suite.open()));
  for (const client of all) client.send(connect({ clientId, clean: false }), pingreq());
  // One that is displaced before its CONNACK may be closed without it.
  await Promise.all(all.map(async (client) => client.find('pingresp').catch(() => undefined)));
  for (const client of all) client.discard();
  const alive = await Promise.allSettled(all.map(async (client) => client.ping()));
  assert.equal(alive.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('[MQTT-3.1.4-2] [MQTT-4.4.0-1] a takeover gets what the first connection had not acknowledged', async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  const publisher = await suite.client();
  await publisher.publish(topic, 'x', { qos: 1 });
  const { packetId } = await first.expect('publish', { payload: 'x', dup: false });
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.receive({ payload: 'x', dup: true, packetId });
  await first.expectClose();
});

test('[MQTT-3.1.2-7] retained messages stay when the session of their publisher ends', async () => {
  const topic = unique();
  const clientId = unique();
  const publisher = await suite.client({ clientId });
  await publisher.publish(topic, 'kept', { qos: 1, retain: true });
  await publisher.disconnect();
  const again = await suite.client({ clientId });
  await again.disconnect();
  const subscriber = await suite.client();
  await subscriber.subscribe(topic, 1);
  await subscriber.receive({ topic, payload: 'kept', retain: true });
});

test('[MQTT-4.1.0-2] a clean session lasts while its connection does', async () => {
  const topic = unique();
  const client = await suite.client({ clean: true });
  await client.subscribe(topic, 1);
  const publisher = await suite.client();
  for (let index = 0; index < 5; index += 1) {
    await client.ping();
    await publisher.publish(topic, `${index}`, { qos: 1 });
    await client.receive({ payload: `${index}` });
  }
});

test('subscriptions changed in one connection are those of the next', async () => {
  const clientId = unique();
  const [kept, gone] = [unique(), unique()];
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe([kept, gone], 1);
  await first.unsubscribe(gone);
  await first.subscribe(kept, 2);
  first.destroy();
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  await second.publish(gone, 'x', { qos: 2 });
  await second.publish(kept, 'y', { qos: 2 });
  await second.receive({ topic: kept, qos: 2 });
  await second.expectNothing();
});
