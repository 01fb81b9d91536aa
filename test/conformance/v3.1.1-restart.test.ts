// MQTT 3.1.1: what a session, the retained messages and the wills are after the broker was killed
// (SIGKILL) and started again.
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();
const own = { skip: process.env['LMQTT_TEST_BROKER'] ? 'needs a broker of its own' : false };

async function crash(): Promise<void> {
  await suite.broker.kill();
  await suite.broker.restart();
}

async function resume(clientId: string): Promise<RawClient> {
  return suite.client({ clientId, clean: false, sessionPresent: true });
}

test('[MQTT-4.1.0-1] [MQTT-3.1.2-5] subscriptions and waiting messages', own, async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe([`${topic}/a`, `${topic}/gone`], 2);
  await first.unsubscribe(`${topic}/gone`);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(`${topic}/gone`, 'x', { qos: 1 });
  await publisher.publish(`${topic}/a`, 'one', { qos: 1 });
  await publisher.publish(`${topic}/a`, 'two', { qos: 2 });
  await crash();
  const second = await resume(clientId);
  await second.receive({ payload: 'one', qos: 1 });
  await second.receive({ payload: 'two', qos: 2 });
  await second.publish(`${topic}/a`, 'three', { qos: 1 });
  await second.receive({ payload: 'three', qos: 1 });
  await second.expectNothing();
});

test('[MQTT-4.1.0-1] what was acknowledged does not come again', own, async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 2);
  await first.publish(topic, 'done', { qos: 2 });
  const { packetId } = await first.find('publish', { payload: 'done' });
  first.sendAck('pubrec', packetId);
  await first.find('pubrel', { packetId });
  first.sendAck('pubcomp', packetId);
  await first.disconnect();
  await crash();
  const second = await resume(clientId);
  await second.publish(topic, 'next', { qos: 1 });
  await second.receive({ payload: 'next' });
});

test(
  '[MQTT-4.4.0-1] [MQTT-3.3.1-1] outbound QoS 2, at each step of the handshake',
  own,
  async () => {
    const clientId = unique();
    const topic = unique();
    const first = await suite.client({ clientId, clean: false });
    await first.subscribe(topic, 2);
    const publisher = await suite.client();
    await publisher.publish(topic, 'a', { qos: 2 });
    await publisher.publish(topic, 'b', { qos: 2 });
    const a = await first.expect('publish', { payload: 'a', dup: false });
    const b = await first.expect('publish', { payload: 'b', dup: false });
    first.sendAck('pubrec', b.packetId);
    await first.expect('pubrel', { packetId: b.packetId });
    await crash();

    const second = await resume(clientId);
    await second.find('publish', { payload: 'a', dup: true, packetId: a.packetId });
    await second.find('pubrel', { packetId: b.packetId });
    await second.expectNothing();
    second.sendAck('pubrec', a.packetId);
    await second.expect('pubrel', { packetId: a.packetId });
    await crash();

    const third = await resume(clientId);
    for (const { packetId } of [a, b]) {
      await third.find('pubrel', { packetId });
      third.sendAck('pubcomp', packetId);
    }
    await third.expectNothing();
  },
);

test('[MQTT-4.4.0-1] outbound QoS 1 that was not acknowledged comes again', own, async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  const publisher = await suite.client();
  for (const payload of ['a', 'b', 'c']) {
    await publisher.publish(topic, payload, { qos: 1 });
    await first.expect('publish', { payload });
  }
  await crash();
  const second = await resume(clientId);
  for (const payload of ['a', 'b', 'c']) await second.receive({ payload });
  await second.expectNothing();
});

test('[MQTT-4.3.3-2] inbound QoS 2, at each step of the handshake', own, async () => {
  const clientId = unique();
  const watcherId = unique();
  const topic = unique();
  const watcher = await suite.client({ clientId: watcherId, clean: false });
  await watcher.subscribe(topic, 2);
  await watcher.disconnect();
  const first = await suite.client({ clientId, clean: false });
  first.sendPublish({ topic, qos: 2, packetId: 9, payload: 'once' });
  await first.expect('pubrec', { packetId: 9 });
  await crash();

  const second = await resume(clientId);
  second.sendPublish({ topic, qos: 2, packetId: 9, dup: true, payload: 'once' });
  await second.expect('pubrec', { packetId: 9 });
  second.sendAck('pubrel', 9);
  await second.expect('pubcomp', { packetId: 9 });
  await crash();

  const third = await resume(clientId);
  third.sendAck('pubrel', 9);
  await third.expect('pubcomp', { packetId: 9 });
  await third.publish(topic, 'new', { qos: 2, packetId: 9 });
  const again = await resume(watcherId);
  await again.receive({ payload: 'once' });
  await again.receive({ payload: 'new' });
  await again.expectNothing();
});

test('[MQTT-3.3.1-5] [MQTT-3.3.1-10] retained messages', own, async () => {
  const [kept, gone] = [unique(), unique()];
  const publisher = await suite.client();
  await publisher.publish(kept, 'old', { qos: 1, retain: true });
  await publisher.publish(kept, 'kept', { qos: 2, retain: true });
  await publisher.publish(gone, 'gone', { qos: 1, retain: true });
  await publisher.publish(gone, '', { qos: 1, retain: true });
  await crash();
  const subscriber = await suite.client();
  await subscriber.subscribe([kept, gone], 2);
  await subscriber.receive({ topic: kept, payload: 'kept', qos: 2, retain: true });
  await subscriber.expectNothing();
});

test('[MQTT-3.1.2-8] [MQTT-3.1.2-10] a will is published once after the crash', own, async () => {
  const watcherId = unique();
  const topic = unique();
  const watcher = await suite.client({ clientId: watcherId, clean: false });
  await watcher.subscribe(topic, 1);
  await watcher.disconnect();
  const said = await suite.client({ will: { topic, payload: 'discarded', qos: 1 } });
  await said.disconnect();
  await suite.client({ will: { topic, payload: 'the will', qos: 1 } });
  await crash();
  const again = await resume(watcherId);
  await again.receive({ topic, payload: 'the will' });
  await again.ping();
  await again.disconnect();
  await crash();
  const last = await resume(watcherId);
  await last.publish(topic, 'not a will', { qos: 1 });
  await last.receive({ topic, payload: 'not a will' });
});

test('[MQTT-3.1.2-6] a clean session is gone', own, async () => {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId });
  await first.subscribe(topic, 2);
  await crash();
  const second = await suite.client({ clientId, clean: false, sessionPresent: false });
  await second.publish(topic, 'x', { qos: 1 });
  await second.expectNothing();
});
