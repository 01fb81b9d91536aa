// MQTT 3.1.1, 3.1.2.5 and 3.14: wills, when they are sent and when they are not.
import { test } from 'node:test';
import type { WillFields } from '../harness/packets.ts';
import { connect, packet } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

async function watcherOf(topic: string): Promise<RawClient> {
  const watcher = await suite.client();
  await watcher.subscribe(topic, 2);
  return watcher;
}

/** Nothing has been published to the topic: what is published now comes first. */
async function expectNoWill(watcher: RawClient, topic: string): Promise<void> {
  const other = await suite.client();
  await other.publish(topic, 'not a will', { qos: 1 });
  await watcher.receive({ topic, payload: 'not a will' });
  await watcher.expectNothing();
}

function willOf(topic: string, more: Partial<WillFields> = {}): { readonly will: WillFields } {
  return { will: { topic, payload: 'the will', qos: 1, ...more } };
}

test('[MQTT-3.1.2-8] [MQTT-3.1.2-14] a will is published at its QoS when the connection is lost', async () => {
  for (const qos of [0, 1, 2] as const) {
    const topic = unique();
    const watcher = await watcherOf(topic);
    const client = await suite.client(willOf(topic, { qos }));
    client.destroy();
    await watcher.receive({ topic, payload: 'the will', qos, retain: false });
  }
});

test('[MQTT-3.1.2-8] a will is published when the server closes for a protocol violation', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.client(willOf(topic));
  client.send(packet('subscribe', 0));
  await client.expectClose();
  await watcher.receive({ topic, payload: 'the will' });
});

test('[MQTT-3.1.2-8] a will is published when another connection takes the client id', async () => {
  const topic = unique();
  const clientId = unique();
  const watcher = await watcherOf(topic);
  const first = await suite.client({ clientId, ...willOf(topic) });
  await suite.client({ clientId });
  await first.expectClose();
  await watcher.receive({ topic, payload: 'the will' });
});

test('[MQTT-3.1.2-8] the will of a persistent session is published too', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.client({ clean: false, ...willOf(topic) });
  client.destroy();
  await watcher.receive({ topic, payload: 'the will' });
});

test('[MQTT-3.1.2-8] what was published before the connection was lost comes before the will', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.client(willOf(topic));
  await client.publish(topic, 'before', { qos: 1 });
  client.destroy();
  await watcher.receive({ payload: 'before' });
  await watcher.receive({ payload: 'the will' });
});

test('[MQTT-3.1.2-8] a will of no bytes, and one of 65,535, are published', async () => {
  for (const payload of ['', 'w'.repeat(65_535)]) {
    const topic = unique();
    const watcher = await watcherOf(topic);
    const client = await suite.client(willOf(topic, { payload }));
    client.destroy();
    await watcher.receive({ topic, payload });
  }
});

test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] no will after DISCONNECT', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.client(willOf(topic));
  await client.disconnect();
  await expectNoWill(watcher, topic);
});

test('[MQTT-3.1.2-10] a will is published once, and is not that of the next connection', async () => {
  const topic = unique();
  const clientId = unique();
  const watcher = await watcherOf(topic);
  const first = await suite.client({ clientId, clean: false, ...willOf(topic) });
  first.destroy();
  await watcher.receive({ payload: 'the will' });
  const second = await suite.client({ clientId, clean: false, sessionPresent: true });
  second.destroy();
  const third = await suite.client({ clientId, clean: false, sessionPresent: true });
  await third.disconnect();
  await expectNoWill(watcher, topic);
});

test('[MQTT-3.14.1-1] a DISCONNECT with wrong flags is none: the will is published', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.client(willOf(topic));
  client.send(packet('disconnect', 1));
  await client.expectClose();
  await watcher.receive({ payload: 'the will' });
});

test('[MQTT-3.1.2-12] nothing is published for a client without a will', async () => {
  const watcher = await suite.subscriber('#');
  const topic = unique();
  const client = await suite.client();
  client.destroy();
  await expectNoWill(watcher, topic);
});

test('[MQTT-3.1.2-16] [MQTT-3.1.2-17] will retain decides whether the will is retained', async () => {
  const watcher = await suite.client();
  for (const retain of [false, true]) {
    const topic = unique();
    await watcher.subscribe(topic, 2);
    const client = await suite.client(willOf(topic, { retain }));
    client.destroy();
    await watcher.receive({ topic, payload: 'the will', retain: false });
    const late = await suite.client();
    await late.subscribe(topic, 1);
    if (retain) await late.receive({ topic, payload: 'the will', retain: true });
    await late.expectNothing();
  }
});

test('[MQTT-3.1.2-9] [MQTT-3.1.4-5] the will of a rejected CONNECT is not published', async () => {
  const topic = unique();
  const watcher = await watcherOf(topic);
  const client = await suite.open();
  client.send(connect({ clientId: '', clean: false, ...willOf(topic) }));
  await client.expect('connack', { reason: 2 });
  await client.expectClose();
  await expectNoWill(watcher, topic);
});
