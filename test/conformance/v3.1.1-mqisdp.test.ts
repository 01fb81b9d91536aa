// MQTT 3.1: clients that say MQIsdp and level 3.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ack, connect, packet, pingreq } from '../harness/packets.ts';
import { u16 } from '../harness/properties.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

test('a 3.1 client publishes and subscribes at every QoS, with others', async () => {
  const topic = unique();
  const old = await suite.client({ version: 3 });
  const other = await suite.client({ version: 4 });
  await old.subscribe(topic, 2);
  await other.subscribe(topic, 2);
  for (const publisher of [old, other]) {
    for (const qos of [0, 1, 2] as const) {
      await publisher.publish(topic, `${qos}`, { qos });
      for (const subscriber of [old, other]) {
        const message = await subscriber.find('publish', { topic, qos, payload: `${qos}` });
        if (qos === 1) subscriber.sendAck('puback', message.packetId);
        if (qos === 2) {
          subscriber.sendAck('pubrec', message.packetId);
          await subscriber.find('pubrel', { packetId: message.packetId });
          subscriber.sendAck('pubcomp', message.packetId);
        }
      }
    }
  }
  await old.unsubscribe(topic);
  await old.expectNothing();
  await old.disconnect();
});

test('the first byte of a 3.1 CONNACK is 0, also for a session that was there', async () => {
  const clientId = unique().slice(-20);
  const first = await suite.client({ version: 3, clientId, clean: false });
  await first.disconnect();
  const second = await suite.client({ version: 3, clientId, clean: false });
  assert.equal(second.received.subarray(0, 4).toString('hex'), '20020000');
});

test('a 3.1 session that is not clean keeps its subscriptions and messages', async () => {
  const clientId = unique().slice(-20);
  const topic = unique();
  const first = await suite.client({ version: 3, clientId, clean: false });
  await first.subscribe(topic, 1);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(topic, 'kept', { qos: 1 });
  const second = await suite.client({ version: 3, clientId, clean: false });
  await second.receive({ topic, payload: 'kept', qos: 1 });
});

test('an empty client id gets return code 2 in 3.1, also with clean session', async () => {
  for (const clean of [true, false]) {
    const client = await suite.open();
    client.send(connect({ version: 3, clientId: '', clean }));
    await client.expect('connack', { reason: 2 });
    await client.expectClose();
  }
});

test('DUP on SUBSCRIBE, PUBREL and UNSUBSCRIBE is legal in 3.1', async () => {
  const topic = unique();
  const client = await suite.client({ version: 3 });
  client.sendSubscribe({ packetId: 5, filters: [topic], flags: 0x0a });
  await client.expect('suback', { packetId: 5 });
  client.sendPublish({ topic, qos: 2, packetId: 6 });
  await client.find('pubrec', { packetId: 6 });
  client.send(ack('pubrel', { packetId: 6, flags: 0x0a }));
  await client.find('pubcomp', { packetId: 6 });
  client.sendUnsubscribe({ packetId: 7, filters: [topic], flags: 0x0a });
  await client.find('unsuback', { packetId: 7 });
});

test('a 3.1 client with a will', async () => {
  const topic = unique();
  const watcher = await suite.client();
  await watcher.subscribe(topic, 1);
  const client = await suite.client({ version: 3, will: { topic, payload: 'the will', qos: 1 } });
  client.destroy();
  await watcher.receive({ topic, payload: 'the will' });
});

test('a 3.1 client may set the reserved connect flag, which 3.1 does not use', async () => {
  const client = await suite.open();
  client.version = 3;
  client.send(connect({ version: 3, clientId: unique().slice(-20), connectFlags: 0x03 }));
  await client.expect('connack', { reason: 0 });
  await client.ping();
});

test('MQIsdp with another level, and MQTT with level 3, are not accepted', async () => {
  for (const fields of [
    { protocolName: 'MQIsdp', protocolLevel: 2 },
    { protocolName: 'MQIsdp', protocolLevel: 4 },
    { protocolName: 'MQTT', protocolLevel: 3 },
  ]) {
    const client = await suite.open();
    client.send(connect({ clientId: unique(), ...fields }), pingreq());
    const answer = await client.next().catch(() => undefined);
    if (answer)
      assert.deepEqual([answer.type, 'reason' in answer && answer.reason], ['connack', 1]);
    await client.expectClose();
  }
});

test('a 3.1 client that breaks the protocol is closed', async () => {
  for (const bytes of [
    connect({ version: 3, clientId: unique() }),
    packet('publish', 6, [u16(1), Buffer.from('a'), u16(1)]),
    packet('connack', 0, u16(0)),
  ]) {
    const client = await suite.client({ version: 3 });
    client.send(bytes);
    await client.expectClose();
  }
});
