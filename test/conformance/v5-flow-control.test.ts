import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { publish } from '../harness/packets.ts';
import type { Publish } from '../harness/parser.ts';
import { unique } from '../harness/wire.ts';
import { Suite, together } from './v5.ts';

const suite = new Suite({ RECEIVE_MAXIMUM: '5', MAX_PACKET_SIZE: '4096' });

/**
 * Publishes these and waits until another subscriber, with an open window, has them all: by then
 * they were on their way to everybody. A full window may hold back QoS 0 too (section 4.9).
 */
async function publishAll(topic: string, qos: 1 | 2, payloads: readonly string[]): Promise<void> {
  const [publisher, observer] = [await suite.client(), await suite.client()];
  await observer.subscribe(topic, 0);
  for (const payload of payloads) await publisher.publish(topic, payload, { qos });
  for (const payload of payloads) await observer.expect('publish', { topic, payload });
  publisher.destroy();
  observer.destroy();
}

const numbers = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${index}`);

describe('MQTT 5 receive maximum of the client', together, () => {
  for (const maximum of [1, 3]) {
    test(`[MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] no more than ${maximum} unacknowledged, QoS 1`, async () => {
      const topic = unique();
      const client = await suite.client({ properties: { receiveMaximum: maximum } });
      await client.subscribe(topic, 1);
      await publishAll(topic, 1, numbers(maximum + 4));
      const open: Publish[] = [];
      for (let index = 0; index < maximum; index += 1) open.push(await client.expect('publish'));
      await client.expectNothing();
      for (let index = maximum; index < maximum + 4; index += 1) {
        client.sendAck('puback', open.shift()?.packetId ?? 0);
        open.push(await client.expect('publish', { payload: String(index) }));
        await client.expectNothing();
      }
    });

    test(`[MQTT-3.3.4-9] [MQTT-4.9.0-2] no more than ${maximum} unacknowledged, QoS 2: PUBCOMP frees, PUBREC does not`, async () => {
      const topic = unique();
      const client = await suite.client({ properties: { receiveMaximum: maximum } });
      await client.subscribe(topic, 2);
      await publishAll(topic, 2, numbers(maximum + 1));
      const open: Publish[] = [];
      for (let index = 0; index < maximum; index += 1) open.push(await client.expect('publish'));
      const packetId = open[0]?.packetId ?? 0;
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      await client.expectNothing();
      client.sendAck('pubcomp', packetId);
      await client.expect('publish', { payload: String(maximum) });
      await client.expectNothing();
    });
  }

  test('[MQTT-3.3.4-9] PUBREC of 0x80 or above frees a place', async () => {
    const topic = unique();
    const client = await suite.client({ properties: { receiveMaximum: 1 } });
    await client.subscribe(topic, 2);
    const publisher = await suite.client();
    for (const payload of ['a', 'b']) await publisher.publish(topic, payload, { qos: 2 });
    const a = await client.expect('publish', { payload: 'a' });
    client.sendAck('pubrec', a.packetId, { reason: 0x80 });
    await client.receive({ payload: 'b' });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.4-10] [MQTT-4.9.0-3] SUBACK, UNSUBACK, PINGRESP and acknowledgements pass a full window', async () => {
    const topic = unique();
    const client = await suite.client({ properties: { receiveMaximum: 1 } });
    await client.subscribe(topic, 1);
    await publishAll(topic, 1, ['a', 'b']);
    const a = await client.expect('publish', { payload: 'a' });
    await client.ping();
    const light = unique();
    await client.subscribe(light, 0);
    await client.publish(unique(), 'x', { qos: 1 });
    await client.publish(unique(), 'x', { qos: 2 });
    await client.unsubscribe(light);
    await client.expectNothing();
    client.sendAck('puback', a.packetId);
    await client.receive({ payload: 'b' });
  });

  test('[MQTT-4.9.0-1] [MQTT-4.4.0-1] the receive maximum of the new connection holds after a reconnect', async () => {
    const topic = unique();
    const clientId = unique();
    const session = { sessionExpiryInterval: 60 };
    const first = await suite.client({ clientId, properties: session });
    await first.subscribe(topic, 1);
    const publisher = await suite.client();
    for (const payload of ['a', 'b', 'c']) await publisher.publish(topic, payload, { qos: 1 });
    for (const payload of ['a', 'b', 'c']) await first.expect('publish', { payload });
    first.destroy();
    const again = await suite.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties: { ...session, receiveMaximum: 1 },
    });
    for (const payload of ['a', 'b', 'c']) {
      const message = await again.expect('publish', { payload, dup: true });
      await again.expectNothing();
      again.sendAck('puback', message.packetId);
    }
  });
});

describe('MQTT 5 receive maximum of the server', together, () => {
  test('[MQTT-3.3.4-7] as many as it announces may be open, one more gets 0x93', async () => {
    const client = await suite.raw();
    const { properties } = await client.connect({ clientId: unique() });
    const maximum = properties.receiveMaximum ?? 65_535;
    assert.equal(maximum, 5);
    const topic = unique();
    for (let packetId = 1; packetId <= maximum; packetId += 1) {
      client.sendPublish({ topic, payload: 'x', qos: 2, packetId });
      await client.expect('pubrec', { packetId });
    }
    client.sendPublish({ topic, payload: 'x', qos: 2, packetId: maximum + 1 });
    await client.expectDisconnect(0x93);
  });

  test('[MQTT-3.3.4-7] [MQTT-4.9.0-3] PUBCOMP frees a place; QoS 0, pings and a repeated id need none', async () => {
    const client = await suite.client();
    const topic = unique();
    for (let packetId = 1; packetId <= 5; packetId += 1) {
      client.sendPublish({ topic, payload: 'x', qos: 2, packetId });
      await client.expect('pubrec', { packetId });
    }
    client.sendPublish({ topic, payload: 'qos 0' });
    client.sendPublish({ topic, payload: 'x', qos: 2, packetId: 3, dup: true });
    await client.expect('pubrec', { packetId: 3 });
    await client.subscribe(unique());
    await client.ping();
    client.sendAck('pubrel', 2);
    await client.expect('pubcomp', { packetId: 2 });
    client.sendPublish({ topic, payload: 'x', qos: 2, packetId: 6 });
    await client.expect('pubrec', { packetId: 6 });
  });

  test('[MQTT-3.3.4-7] a client that keeps to it is never refused: 200 QoS 1 with 5 open', async () => {
    const client = await suite.client();
    const topic = unique();
    const count = 200;
    const send = (packetId: number): void =>
      client.sendPublish({ topic, payload: 'x', qos: 1, packetId });
    for (let packetId = 1; packetId <= 5; packetId += 1) send(packetId);
    for (let packetId = 1; packetId <= count; packetId += 1) {
      await client.expect('puback', { packetId });
      if (packetId + 5 <= count) send(packetId + 5);
    }
  });
});

/** The largest payload that fits a PUBLISH of `size` bytes with this topic. */
function fitting(topic: string, size: number, qos: number): Buffer {
  for (let length = size; ; length -= 1) {
    const payload = Buffer.alloc(length, 0x61);
    if (publish({ version: 5, topic, payload, qos, packetId: 1 }).length <= size) return payload;
  }
}

describe('MQTT 5 maximum packet size of the client', together, () => {
  const maximumPacketSize = 200;

  for (const qos of [0, 1, 2] as const) {
    test(`[MQTT-3.1.2-24] [MQTT-3.1.2-25] a message at QoS ${qos} that is too large is dropped and the next one comes`, async () => {
      const topic = unique();
      const client = await suite.client({ properties: { maximumPacketSize, receiveMaximum: 2 } });
      await client.subscribe(topic, qos);
      const publisher = await suite.client();
      const [exact, small] = [fitting(topic, maximumPacketSize - 8, qos), Buffer.from('small')];
      for (let round = 0; round < 5; round += 1) {
        await publisher.publish(topic, Buffer.alloc(500), { qos });
        await publisher.publish(topic, exact, { qos });
        await publisher.publish(topic, small, { qos });
        await client.receive({ topic, payload: exact });
        await client.receive({ topic, payload: small });
      }
      await suite.nothingElse(client);
    });
  }

  test('[MQTT-3.1.2-24] a message of exactly the maximum is sent, one byte more is not', async () => {
    const topic = unique();
    const client = await suite.client({ properties: { maximumPacketSize } });
    await client.subscribe(topic, 1);
    const publisher = await suite.client();
    const exact = fitting(topic, maximumPacketSize, 1);
    await publisher.publish(topic, Buffer.alloc(exact.length + 1, 0x62), { qos: 1 });
    await publisher.publish(topic, exact, { qos: 1 });
    await client.receive({ topic, payload: exact });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.1.2-25] a message too large is dropped for a session that was away, others get it', async () => {
    const topic = unique();
    const clientId = unique();
    const session = { sessionExpiryInterval: 60, maximumPacketSize };
    const away = await suite.client({ clientId, properties: session });
    await away.subscribe(topic, 1);
    await away.disconnect();
    const other = await suite.client();
    await other.subscribe(topic, 1);
    const publisher = await suite.client();
    for (const payload of ['one', 'x'.repeat(500), 'two']) {
      await publisher.publish(topic, payload, { qos: 1 });
      await other.receive({ topic, payload });
    }
    const back = await suite.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties: session,
    });
    await back.receive({ payload: 'one' });
    await back.receive({ payload: 'two' });
    await suite.nothingElse(back);
    await back.disconnect();
    const large = { sessionExpiryInterval: 60 };
    const last = await suite.client({
      clientId,
      clean: false,
      sessionPresent: true,
      properties: large,
    });
    await suite.nothingElse(last);
  });

  test('[MQTT-3.1.2-25] retained messages that are too large are passed over', async () => {
    const stem = unique();
    const publisher = await suite.client();
    await publisher.publish(`${stem}/big`, Buffer.alloc(500), { qos: 1, retain: true });
    await publisher.publish(`${stem}/small`, 'x', { qos: 1, retain: true });
    const client = await suite.client({ properties: { maximumPacketSize } });
    await client.subscribe(`${stem}/#`, 1);
    await client.receive({ topic: `${stem}/small`, retain: true });
    await suite.nothingElse(client);
  });
});

describe('MQTT 5 maximum packet size of the server', together, () => {
  test('[MQTT-3.2.2-15] it is announced, kept to, and a larger packet gets 0x95', async () => {
    const client = await suite.raw();
    const { properties } = await client.connect({ clientId: unique() });
    assert.equal(properties.maximumPacketSize, 4096);
    const topic = unique();
    await client.publish(topic, fitting(topic, 4096, 1), { qos: 1 });
    client.sendPublish({ topic, payload: Buffer.alloc(4096), qos: 1, packetId: 2 });
    await client.expectDisconnect(0x95);
  });

  test('[MQTT-3.2.2-15] the length alone is enough for 0x95, nothing waits for the rest', async () => {
    const client = await suite.client();
    client.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
    await client.expectDisconnect(0x95);
  });

  test('[MQTT-3.1.4-1] a CONNECT that is too large is refused', async () => {
    const client = await suite.raw();
    client.send(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5]));
    const answer = await client.next().catch(() => undefined);
    if (answer)
      assert.deepEqual([answer.type, 'reason' in answer && answer.reason], ['connack', 0x95]);
    await client.expectClose();
  });
});
