import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unique } from '../harness/wire.ts';
import { Suite, protocolError, together } from './v5.ts';

const suite = new Suite();

describe('MQTT 5 SUBSCRIBE', together, () => {
  test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] SUBACK has the id of its SUBSCRIBE', async () => {
    const client = await suite.client();
    for (const packetId of [1, 65_535, 300]) {
      client.sendSubscribe({ packetId, filters: [unique()] });
      await client.expect('suback', { packetId, reasons: [0] });
    }
  });

  test('[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-3.2.2-9] [MQTT-3.2.2-10] a code for each filter, in order, each QoS granted', async () => {
    const client = await suite.client();
    const levels = [2, 0, 1, 1, 2, 0];
    const filters = levels.map((qos) => ({ filter: unique(), qos }));
    client.sendSubscribe({ packetId: 9, filters });
    await client.expect('suback', { packetId: 9, reasons: levels });
    for (const { filter, qos } of filters) {
      await client.publish(filter, 'x', { qos: 2 });
      await client.receive({ topic: filter, qos: qos as 0 | 1 | 2 });
    }
  });

  test('[MQTT-3.8.4-3] the same filter again replaces QoS, options and identifier', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe(topic, 2, { properties: { subscriptionIdentifier: 5 } });
    await client.subscribe(topic, 0, { properties: { subscriptionIdentifier: 6 } });
    await client.publish(topic, 'x', { qos: 2 });
    const message = await client.receive({ topic, qos: 0 });
    assert.deepEqual(message.properties.subscriptionIdentifiers, [6]);
    await client.subscribe([{ filter: topic, qos: 1, noLocal: true }]);
    await client.publish(topic, 'own', { qos: 1 });
    await client.subscribe([{ filter: topic, qos: 1 }]);
    await client.publish(topic, 'last', { qos: 1 });
    const last = await client.receive({ topic, payload: 'last' });
    assert.equal(last.properties.subscriptionIdentifiers, undefined);
    await suite.nothingElse(client);
  });

  test('[MQTT-3.8.4-4] replacing a subscription loses no message', async () => {
    const topic = unique();
    const [client, publisher] = [await suite.client(), await suite.client()];
    await client.subscribe(topic, 1);
    const count = 60;
    const publishing = (async () => {
      for (let index = 0; index < count; index += 1) {
        await publisher.publish(topic, String(index), { qos: 1 });
      }
    })();
    for (let round = 0; round < 10; round += 1) await client.subscribe(topic, 1);
    await publishing;
    for (let index = 0; index < count; index += 1) {
      const message = await client.find('publish', { payload: String(index) });
      client.sendAck('puback', message.packetId);
    }
  });

  test('[MQTT-3.8.4-4] messages in flight survive the replacing', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 1);
    await client.publish(topic, 'before', { qos: 1 });
    const before = await client.expect('publish', { payload: 'before', qos: 1 });
    await client.subscribe(topic, 0);
    client.destroy();
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await back.receive({ payload: 'before', dup: true, packetId: before.packetId });
  });

  test('[MQTT-3.8.3-3] no local: the own message does not come back, that of others does', async () => {
    const topic = unique();
    const [client, other] = [await suite.client(), await suite.client()];
    await client.subscribe([{ filter: topic, qos: 1, noLocal: true }]);
    await client.publish(topic, 'own', { qos: 1 });
    await other.publish(topic, 'theirs', { qos: 1 });
    await client.receive({ topic, payload: 'theirs' });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.8.3-3] no local holds by client id, also for what waited while the client was away', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const will = { topic, payload: 'own will', qos: 1 };
    const client = await suite.client({ clientId, properties, will });
    await client.subscribe([{ filter: topic, qos: 1, noLocal: true }]);
    client.destroy();
    const other = await suite.client();
    await other.subscribe(topic);
    await other.publish(topic, 'theirs', { qos: 1 });
    await other.find('publish', { topic, payload: 'theirs' });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await back.receive({ topic, payload: 'theirs' });
    await suite.nothingElse(back);
  });

  test('[MQTT-3.8.3-3] no local with an overlapping subscription without it: delivered once', async () => {
    const stem = unique();
    const client = await suite.client();
    await client.subscribe([
      { filter: `${stem}/a`, qos: 1, noLocal: true },
      { filter: `${stem}/+`, qos: 1 },
    ]);
    await client.publish(`${stem}/a`, 'x', { qos: 1 });
    await client.receive({ topic: `${stem}/a` });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.8.3-4] no local on a shared subscription is a protocol error', async () => {
    const client = await suite.client();
    client.sendSubscribe({ filters: [{ filter: `$share/g/${unique()}`, noLocal: true }] });
    await client.expectDisconnect(protocolError);
  });

  test('[MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] overlapping subscriptions: one copy, the highest QoS, all identifiers', async () => {
    const stem = unique();
    const topic = `${stem}/a/b`;
    const [client, publisher] = [await suite.client(), await suite.client()];
    const subscriptions: [string, 0 | 1 | 2, number | undefined][] = [
      [`${stem}/#`, 0, 11],
      [`${stem}/a/+`, 2, 300_000],
      [topic, 1, undefined],
      [`${stem}/+/b`, 1, 11],
      [`${stem}/c`, 2, 99],
    ];
    for (const [filter, qos, id] of subscriptions) {
      const more = id === undefined ? {} : { properties: { subscriptionIdentifier: id } };
      await client.subscribe(filter, qos, more);
    }
    for (const [published, delivered] of [
      [2, 2],
      [1, 1],
      [0, 0],
    ] as const) {
      await publisher.publish(topic, `at ${published}`, { qos: published });
      const message = await client.receive({ topic, qos: delivered, payload: `at ${published}` });
      const ids = message.properties.subscriptionIdentifiers ?? [];
      assert.deepEqual(
        [...new Set(ids)].toSorted((x, y) => x - y),
        [11, 300_000],
      );
    }
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.4-3] one identifier for all filters of a SUBSCRIBE; none after replacing without', async () => {
    const [one, two] = [unique(), unique()];
    const client = await suite.client();
    await client.subscribe([one, two], 1, { properties: { subscriptionIdentifier: 128 } });
    for (const topic of [one, two]) {
      await client.publish(topic, 'x', { qos: 1 });
      const message = await client.receive({ topic });
      assert.deepEqual(message.properties.subscriptionIdentifiers, [128]);
    }
    await client.subscribe(one, 1);
    await client.publish(one, 'x', { qos: 1 });
    const plain = await client.receive({ topic: one });
    assert.equal(plain.properties.subscriptionIdentifiers, undefined);
  });

  test('[MQTT-3.3.4-3] identifiers are kept with the session and with messages that waited', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 1, { properties: { subscriptionIdentifier: 42 } });
    await client.disconnect();
    const publisher = await suite.client();
    await publisher.publish(topic, 'waited', { qos: 1 });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    const message = await back.receive({ payload: 'waited' });
    assert.deepEqual(message.properties.subscriptionIdentifiers, [42]);
  });

  test('[MQTT-3.8.4-1] SUBSCRIBE with user properties is accepted', async () => {
    const client = await suite.client();
    const userProperties: [string, string][] = [
      ['a', 'b'],
      ['a', 'c'],
    ];
    await client.subscribe(unique(), 1, { properties: { userProperties } });
  });
});

describe('MQTT 5 UNSUBSCRIBE', together, () => {
  test('[MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] a filter that matches exactly is deleted', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe([topic, `${topic}/+`], 1);
    const { reasons } = await client.unsubscribe(topic);
    assert.deepEqual(reasons, [0]);
    await client.publish(topic, 'gone', { qos: 1 });
    await client.publish(`${topic}/a`, 'stays', { qos: 1 });
    await client.receive({ topic: `${topic}/a`, payload: 'stays' });
    await suite.nothingElse(client);
  });

  test('[MQTT-3.10.4-1] [MQTT-3.10.4-5] [MQTT-3.11.3-2] filters are compared by characters, not matched: 0x11', async () => {
    const topic = unique();
    const client = await suite.client();
    await client.subscribe(`${topic}/a`, 1);
    client.sendUnsubscribe({
      packetId: 6,
      filters: ['#', `${topic}/+`, `${topic}/A`, `${topic}/a/`, topic],
    });
    await client.expect('unsuback', { packetId: 6, reasons: [0x11, 0x11, 0x11, 0x11, 0x11] });
    await client.publish(`${topic}/a`, 'still', { qos: 1 });
    await client.receive({ payload: 'still' });
  });

  test('[MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-2.2.1-6] several filters: one UNSUBACK, a code each, in order', async () => {
    const [a, b] = [unique(), unique()];
    const client = await suite.client();
    await client.subscribe([a, b], 1);
    client.sendUnsubscribe({ packetId: 500, filters: [a, unique(), b, a] });
    await client.expect('unsuback', { packetId: 500, reasons: [0, 0x11, 0, 0x11] });
  });

  test('[MQTT-3.10.4-3] a delivery that had begun is completed', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 2);
    await client.publish(topic, 'one', { qos: 1 });
    await client.publish(topic, 'two', { qos: 2 });
    const one = await client.expect('publish', { payload: 'one', qos: 1 });
    const two = await client.expect('publish', { payload: 'two', qos: 2 });
    client.sendAck('pubrec', two.packetId);
    await client.expect('pubrel', { packetId: two.packetId });
    await client.unsubscribe(topic);
    client.destroy();
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    const again = await back.find('publish', { payload: 'one', packetId: one.packetId, dup: true });
    back.sendAck('puback', again.packetId);
    await back.find('pubrel', { packetId: two.packetId });
    back.sendAck('pubcomp', two.packetId);
    await suite.nothingElse(back);
  });

  test('[MQTT-3.10.4-1] unsubscribed is unsubscribed in the next connection too', async () => {
    const topic = unique();
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await suite.client({ clientId, properties });
    await client.subscribe(topic, 1);
    await client.unsubscribe(topic);
    await client.disconnect();
    const publisher = await suite.client();
    await publisher.publish(topic, 'x', { qos: 1 });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await publisher.publish(topic, 'y', { qos: 1 });
    await suite.nothingElse(back);
  });
});
