import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import { Suite, protocolError, together } from './v5.ts';

const suite = new Suite({ TOPIC_ALIAS_MAXIMUM: '10' });

async function capable(): Promise<{ client: RawClient; maximum: number }> {
  const client = await suite.raw();
  const { properties } = await client.connect({ clientId: unique() });
  const maximum = properties.topicAliasMaximum ?? 0;
  assert.equal(maximum, 10);
  return { client, maximum };
}

describe('MQTT 5 topic aliases to the server', together, () => {
  test('[MQTT-3.3.2-12] every alias up to the maximum is accepted, used and set anew', async () => {
    const { client, maximum } = await capable();
    const topics = Array.from({ length: maximum }, () => unique());
    const subscriber = await suite.client();
    await subscriber.subscribe([...topics, 'other/topic'], 1);
    for (const [index, topic] of topics.entries()) {
      await client.publish(topic, 'set', { qos: 1, properties: { topicAlias: index + 1 } });
      await subscriber.receive({ topic, payload: 'set' });
    }
    for (const [index, topic] of topics.entries()) {
      await client.publish('', 'used', { qos: 1, properties: { topicAlias: index + 1 } });
      const message = await subscriber.receive({ topic, payload: 'used' });
      assert.equal(message.properties.topicAlias, undefined);
    }
    const moved = unique();
    await subscriber.subscribe(moved, 1);
    await client.publish(moved, 'moved', { qos: 1, properties: { topicAlias: 1 } });
    await subscriber.receive({ topic: moved, payload: 'moved' });
    await client.publish('', 'again', { qos: 2, properties: { topicAlias: 1 } });
    await subscriber.receive({ topic: moved, payload: 'again' });
  });

  test('[MQTT-3.3.2-8] alias 0 is refused with 0x94', async () => {
    for (const topic of ['t', '']) {
      const { client } = await capable();
      client.sendPublish({ topic, qos: 1, properties: { topicAlias: 0 } });
      await client.expectDisconnect(0x94);
    }
  });

  test('[MQTT-3.3.2-9] [MQTT-3.2.2-17] an alias above the maximum is refused with 0x94', async () => {
    const { client, maximum } = await capable();
    client.sendPublish({ topic: 't', qos: 1, properties: { topicAlias: maximum + 1 } });
    await client.expectDisconnect(0x94);
  });

  test('[MQTT-4.13.1-1] an alias that was not set is a protocol error', async () => {
    const { client, maximum } = await capable();
    client.sendPublish({ topic: '', qos: 1, properties: { topicAlias: maximum } });
    await client.expectDisconnect(protocolError);
  });

  test('[MQTT-3.3.2-7] aliases end with their connection, the session notwithstanding', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const first = await suite.client({ clientId, properties });
    await first.publish(unique(), 'x', { qos: 1, properties: { topicAlias: 3 } });
    await first.disconnect();
    const second = await suite.client({ clientId, clean: false, sessionPresent: true });
    second.sendPublish({ topic: '', qos: 1, properties: { topicAlias: 3 } });
    await second.expectDisconnect(protocolError);
  });

  test('[MQTT-3.3.2-7] aliases of one connection are not those of another', async () => {
    const [one, two] = [await suite.client(), await suite.client()];
    const [a, b] = [unique(), unique()];
    const subscriber = await suite.client();
    await subscriber.subscribe([a, b], 1);
    await one.publish(a, '1', { qos: 1, properties: { topicAlias: 1 } });
    await subscriber.receive({ topic: a });
    await two.publish(b, '2', { qos: 1, properties: { topicAlias: 1 } });
    await subscriber.receive({ topic: b });
    await one.publish('', '3', { qos: 1, properties: { topicAlias: 1 } });
    await subscriber.receive({ topic: a, payload: '3' });
  });
});

describe('MQTT 5 topic aliases are switched off by 0', () => {
  const none = new Suite({ TOPIC_ALIAS_MAXIMUM: '0' });
  test('[MQTT-3.2.2-18] a server that allows none says so and refuses every alias with 0x94', async () => {
    const client = await none.raw();
    const { properties } = await client.connect({ clientId: unique() });
    assert.equal(properties.topicAliasMaximum ?? 0, 0);
    client.sendPublish({ topic: 't', qos: 1, properties: { topicAlias: 1 } });
    await client.expectDisconnect(0x94);
  });
});

describe('MQTT 5 topic aliases to the client', together, () => {
  test('[MQTT-3.1.2-27] a client that allows none gets none', async () => {
    for (const properties of [{}, { topicAliasMaximum: 0 }]) {
      const client = await suite.client({ properties });
      const topic = unique();
      await client.subscribe(topic, 1);
      for (let index = 0; index < 20; index += 1) {
        await client.publish(topic, 'x', { qos: 1, properties: { topicAlias: 1 } });
        const message = await client.receive({ topic });
        assert.equal(message.properties.topicAlias, undefined);
      }
    }
  });

  test('[MQTT-3.1.2-26] [MQTT-3.3.2-8] [MQTT-3.3.2-11] aliases stay within 1 and the maximum and mean what was set', async () => {
    const maximum = 2;
    const [client, publisher] = [
      await suite.client({ properties: { topicAliasMaximum: maximum } }),
      await suite.client(),
    ];
    const topics = Array.from({ length: 5 }, () => unique('a/rather/long/topic/name'));
    await client.subscribe(topics, 1);
    const known = new Map<number, string>();
    for (let round = 0; round < 6; round += 1) {
      for (const [index, topic] of topics.entries()) {
        const payload = `${round}-${index}`;
        await publisher.publish(topic, payload, { qos: round % 2 ? 1 : 0 });
        const message = await client.receive({ payload });
        const alias = message.properties.topicAlias;
        if (alias !== undefined) {
          assert.ok(alias >= 1 && alias <= maximum, `alias ${alias}`);
          if (message.topic !== '') known.set(alias, message.topic);
        }
        const name = message.topic === '' ? known.get(alias ?? 0) : message.topic;
        assert.equal(name, topic);
      }
    }
  });

  test('[MQTT-3.3.2-7] after a reconnect an alias is set before it is used', async () => {
    const clientId = unique();
    const topic = unique();
    const publisher = await suite.client();
    const properties = { sessionExpiryInterval: 60, topicAliasMaximum: 5 };
    for (let round = 0; round < 3; round += 1) {
      const client = await suite.client({ clientId, clean: round === 0, properties });
      if (round === 0) await client.subscribe(topic, 1);
      await publisher.publish(topic, 'one', { qos: 1 });
      const first = await client.receive({ payload: 'one' });
      assert.equal(first.topic, topic);
      await publisher.publish(topic, 'two', { qos: 1 });
      await client.receive({ payload: 'two' });
      await client.disconnect();
    }
  });
});
