import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Qos } from '../harness/packets.ts';
import { connected, unique } from '../harness/wire.ts';
import { Suite, refused, seconds, together } from './v5.ts';

const suite = new Suite();
const allQos: readonly Qos[] = [0, 1, 2];

describe('MQTT 5 PUBLISH', together, () => {
  for (const sent of allQos) {
    for (const granted of allQos) {
      test(`[MQTT-3.8.4-8] [MQTT-3.3.4-1] [MQTT-3.3.1-3] published at ${sent}, granted ${granted}: delivered at the lower, DUP 0`, async () => {
        const topic = unique();
        const [subscriber, publisher] = [await suite.client(), await suite.client()];
        await subscriber.subscribe(topic, granted);
        await publisher.publish(topic, 'x', { qos: sent });
        const qos = Math.min(sent, granted) as Qos;
        await subscriber.receive({ topic, payload: 'x', qos, dup: false, retain: false });
        await suite.nothingElse(subscriber);
      });
    }
  }

  test('[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] all that belongs to the message passes unchanged', async () => {
    const topic = unique();
    const [first, second, publisher] = [
      await suite.client(),
      await suite.client(),
      await suite.client(),
    ];
    await first.subscribe(topic, 2);
    await second.subscribe(topic, 0);
    const userProperties: [string, string][] = [
      ['z', '1'],
      ['a', '2'],
      ['z', '1'],
      ['', ''],
      ['a', 'é𝄞'],
      ['z', '0'],
    ];
    const properties = {
      payloadFormatIndicator: 1,
      contentType: 'text/plain; charset=utf-8',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([0, 1, 2, 0xff, 0x80]),
      userProperties,
    };
    for (const qos of allQos) {
      await publisher.publish(topic, 'täxt', { qos, properties });
      for (const subscriber of [first, second]) {
        const message = await subscriber.receive({ topic, payload: 'täxt' });
        assert.deepEqual(message.properties, properties);
      }
    }
    await publisher.publish(topic, 'plain', { qos: 1 });
    const plain = await first.receive({ topic, payload: 'plain' });
    assert.deepEqual(plain.properties, {});
    const zero = { payloadFormatIndicator: 0 };
    await publisher.publish(topic, 'zero', { qos: 1, properties: zero });
    await first.receive({ payload: 'zero', properties: zero });
  });

  test('[MQTT-3.3.2-15] an empty correlation and content type are not the same as none', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe(topic, 1);
    const properties = { contentType: '', correlationData: Buffer.alloc(0) };
    await client.publish(topic, 'x', { qos: 1, properties });
    const message = await client.receive({ topic });
    assert.deepEqual(message.properties, properties);
  });

  test('[MQTT-3.3.2-17] a 3.1.1 subscriber gets the message without its properties, and the other way round', async () => {
    const topic = unique();
    const [young, old] = [
      await suite.client(),
      await connected(suite.broker.mqttPort, { version: 4 }),
    ];
    for (const client of [young, old]) await client.subscribe(topic, 1);
    const properties = { contentType: 'text/plain', messageExpiryInterval: 50 };
    await young.publish(topic, 'from 5', { qos: 1, properties });
    await old.receive({ topic, payload: 'from 5', qos: 1 });
    await young.receive({ topic, payload: 'from 5', properties: { contentType: 'text/plain' } });
    await old.publish(topic, 'from 4', { qos: 1 });
    const message = await young.receive({ topic, payload: 'from 4' });
    assert.deepEqual(message.properties, {});
  });

  test('[MQTT-3.3.4-1] PUBACK and PUBREC without a subscriber say 0x10 or 0x00', async () => {
    const client = await suite.client();
    const topic = unique();
    client.sendPublish({ topic, payload: 'x', qos: 1, packetId: 3 });
    await client.expect('puback', { packetId: 3, reason: 0x10 });
    client.sendPublish({ topic, payload: 'x', qos: 2, packetId: 4 });
    await client.expect('pubrec', { packetId: 4, reason: 0x10 });
    client.sendAck('pubrel', 4);
    await client.expect('pubcomp', { packetId: 4, reason: 0 });
    await client.subscribe(topic);
    client.sendPublish({ topic, payload: 'y', qos: 1, packetId: 3 });
    const answers = [await client.next(), await client.next()];
    const puback = answers.find((packet) => packet.type === 'puback');
    assert.ok(puback?.type === 'puback' && puback.reason === 0, JSON.stringify(answers));
    assert.ok(answers.some((packet) => packet.type === 'publish'));
  });

  test('[MQTT-3.3.1-3] [MQTT-4.3.2-5] DUP of the publisher is not passed on, the id is free after PUBACK', async () => {
    const topic = unique();
    const [subscriber, publisher] = [await suite.client(), await suite.client()];
    await subscriber.subscribe(topic, 1);
    for (const payload of ['first', 'second']) {
      publisher.sendPublish({ topic, payload, qos: 1, packetId: 7, dup: true });
      await publisher.expect('puback', { packetId: 7, reason: 0 });
      await subscriber.receive({ topic, payload, dup: false });
    }
  });

  test('[MQTT-4.6.0-5] [MQTT-4.6.0-6] 300 messages of each QoS arrive in order', async () => {
    const topic = unique();
    const [subscriber, publisher] = [await suite.client(), await suite.client()];
    await subscriber.subscribe(topic, 2);
    const count = 300;
    for (const qos of allQos) {
      for (let start = 0; start < count; start += 15) {
        const ids = Array.from({ length: 15 }, (_, index) => start + index + 1);
        for (const packetId of ids) {
          const message = { topic, payload: `${qos}-${packetId}`, qos };
          publisher.sendPublish(qos === 0 ? message : { ...message, packetId });
        }
        for (const packetId of ids) {
          if (qos === 1) await publisher.find('puback', { packetId });
          if (qos === 2) {
            await publisher.find('pubrec', { packetId });
            publisher.sendAck('pubrel', packetId);
            await publisher.find('pubcomp', { packetId });
          }
        }
      }
      for (let index = 1; index <= count; index += 1) {
        const message = await subscriber.find('publish');
        assert.equal(message.payload.toString(), `${qos}-${index}`);
        if (qos === 1) subscriber.sendAck('puback', message.packetId);
        if (qos === 2) {
          subscriber.sendAck('pubrec', message.packetId);
          await subscriber.find('pubrel', { packetId: message.packetId });
          subscriber.sendAck('pubcomp', message.packetId);
        }
      }
    }
  });

  test('[MQTT-4.5.0-1] every matching session, present or not, gets the message', async () => {
    const stem = unique();
    const topic = `${stem}/a`;
    const absentId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const absent = await suite.client({ clientId: absentId, properties });
    await absent.subscribe(topic, 1);
    await absent.disconnect();
    const present = await Promise.all([0, 1, 2].map(() => suite.client()));
    for (const [index, client] of present.entries()) {
      await client.subscribe([topic, `${stem}/#`, `${stem}/+`].slice(0, index + 1), 1);
    }
    const publisher = await suite.client();
    await publisher.publish(topic, 'for all', { qos: 1 });
    for (const client of present) await client.receive({ topic, payload: 'for all' });
    const back = await suite.client({ clientId: absentId, clean: false, sessionPresent: true });
    await back.receive({ topic, payload: 'for all' });
  });

  test('[MQTT-4.3.1-1] [MQTT-2.2.1-2] empty and large payloads of any bytes pass', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe(topic, 1);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    for (const payload of [Buffer.alloc(0), bytes, Buffer.alloc(200_000, 0xa5)]) {
      for (const qos of [0, 1] as const) {
        await client.publish(topic, payload, { qos });
        const message = await client.receive({ topic });
        assert.ok(message.payload.equals(payload));
      }
    }
  });
});

describe('MQTT 5 message expiry', together, () => {
  const properties = { sessionExpiryInterval: 60 };

  test('[MQTT-3.3.2-6] a message that did not wait long keeps its interval', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe(topic, 1);
    await client.publish(topic, 'x', { qos: 1, properties: { messageExpiryInterval: 1000 } });
    const message = await client.receive({ topic });
    const left = message.properties.messageExpiryInterval ?? 0;
    assert.ok(left >= 990 && left <= 1000, `${left} s left`);
  });

  test('[MQTT-3.3.2-6] [MQTT-3.3.2-5] after 2 s the rest is forwarded, and what expired is gone', async () => {
    const topic = unique();
    const clientId = unique();
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 1);
    await client.disconnect();
    const publisher = await suite.client();
    const expiry = (messageExpiryInterval: number): object => ({
      qos: 1,
      properties: { messageExpiryInterval },
    });
    await publisher.publish(topic, 'short', expiry(1));
    await publisher.publish(topic, 'long', expiry(100));
    await publisher.publish(topic, 'none', { qos: 1 });
    await publisher.publish(topic, 'brief', expiry(1));
    await seconds(2.1);
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    const long = await back.receive({ topic, payload: 'long' });
    const left = long.properties.messageExpiryInterval ?? 0;
    assert.ok(left >= 90 && left <= 98, `${left} s left`);
    const none = await back.receive({ topic, payload: 'none' });
    assert.equal(none.properties.messageExpiryInterval, undefined);
    await suite.nothingElse(back);
  });

  test('[MQTT-3.3.2-5] [MQTT-3.3.2-6] a retained message expires, its rest is told', async () => {
    const topic = unique();
    const publisher = await suite.client();
    const left = { messageExpiryInterval: 2 };
    await publisher.publish(topic, 'soon gone', { qos: 1, retain: true, properties: left });
    const early = await suite.client();
    await early.subscribe(topic, 1);
    await early.receive({ topic, payload: 'soon gone', retain: true });
    const lasting = unique();
    const hundred = { messageExpiryInterval: 100 };
    await publisher.publish(lasting, 'stays', { qos: 1, retain: true, properties: hundred });
    await seconds(3.1);
    const late = await suite.client();
    await late.subscribe([topic, lasting], 1);
    const { properties: told } = await late.receive({ topic: lasting, retain: true });
    const rest = told.messageExpiryInterval ?? 0;
    assert.ok(rest >= 90 && rest <= 98, `${rest} s left`);
    await suite.nothingElse(late);
  });

  test('[MQTT-4.3.3-7] [MQTT-4.3.3-13] a message that was sent is delivered to the end though it expired', async () => {
    const topic = unique();
    const clientId = unique();
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 2);
    const publisher = await suite.client();
    const expiring = { qos: 2, properties: { messageExpiryInterval: 2 } } as const;
    await publisher.publish(topic, 'x', expiring);
    const message = await client.expect('publish', { topic, qos: 2 });
    await seconds(3.1);
    client.sendAck('pubrec', message.packetId);
    await client.expect('pubrel', { packetId: message.packetId, reason: 0 });
    client.sendAck('pubcomp', message.packetId);
    await suite.nothingElse(client);
  });

  test('[MQTT-4.3.3-13] the receiving side completes QoS 2 of a message that expired meanwhile', async () => {
    const publisher = await suite.client();
    const left = { messageExpiryInterval: 1 };
    publisher.sendPublish({ topic: unique(), qos: 2, packetId: 8, properties: left });
    await publisher.expect('pubrec', { packetId: 8 });
    await seconds(1.6);
    publisher.sendAck('pubrel', 8);
    await publisher.expect('pubcomp', { packetId: 8, reason: 0 });
  });
});

describe('MQTT 5 payload format, checked by setting', () => {
  const checking = new Suite({ VALIDATE_PAYLOAD_FORMAT: 'true' });
  const bad = Buffer.from([0x61, 0xff, 0xfe]);
  const properties = { payloadFormatIndicator: 1 };

  test('[MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-4.3.3-9] a payload that is not the UTF-8 it says gets 0x99, and its id is free', async () => {
    const topic = unique();
    const subscriber = await checking.client();
    await subscriber.subscribe(topic, 2);
    const client = await checking.client();
    client.sendPublish({ topic, payload: bad, qos: 1, packetId: 2, properties });
    await refused(client, 'puback', [0x99], []);
    client.sendPublish({ topic, payload: bad, qos: 2, packetId: 3, properties });
    await refused(client, 'pubrec', [0x99], []);
    await client.publish(topic, 'grün', { qos: 2, packetId: 3, properties });
    await subscriber.receive({ topic, payload: 'grün', properties });
    await client.publish(topic, bad, { qos: 1 });
    await subscriber.receive({ topic, payload: bad });
    await checking.nothingElse(subscriber);
  });

  test('[MQTT-4.13.1-1] at QoS 0 it is dropped or the connection ends with 0x99', async () => {
    const topic = unique();
    const subscriber = await checking.client();
    await subscriber.subscribe(topic, 2);
    const client = await checking.client();
    client.sendPublish({ topic, payload: bad, properties });
    client.sendPublish({ topic, payload: 'good', qos: 1, packetId: 5 });
    const answer = await client.next();
    if (answer.type === 'disconnect') {
      assert.equal(answer.reason, 0x99);
      await client.expectClose();
    } else {
      assert.deepEqual([answer.type, 'reason' in answer && answer.reason], ['puback', 0]);
      await subscriber.receive({ topic, payload: 'good' });
    }
    await checking.nothingElse(subscriber);
  });
});
