import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WillFields } from '../harness/packets.ts';
import { packet } from '../harness/packets.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import type { V5Fields } from './v5.ts';
import { Suite, seconds, together } from './v5.ts';

const suite = new Suite();

interface Pair {
  readonly topic: string;
  readonly clientId: string;
  readonly watcher: RawClient;
  readonly client: RawClient;
}

/** A client with a will, and one that is subscribed to its topic at QoS 2. */
async function pair(
  will: Omit<WillFields, 'topic'> = {},
  properties: V5Fields['properties'] = {},
  more: V5Fields = {},
): Promise<Pair> {
  const [topic, clientId, watcher] = [unique('will'), unique(), await suite.client()];
  await watcher.subscribe(topic, 2);
  const client = await suite.client({
    clientId,
    properties,
    will: { topic, payload: 'gone', ...will },
    ...more,
  });
  return { topic, clientId, watcher, client };
}

describe('MQTT 5 will', together, () => {
  for (const qos of [0, 1, 2] as const) {
    test(`[MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14] a broken connection publishes the will at QoS ${qos}, not retained`, async () => {
      const { topic, watcher, client } = await pair({ qos });
      client.destroy();
      await watcher.receive({ topic, payload: 'gone', qos, retain: false, dup: false });
      const late = await suite.client();
      await late.subscribe(topic);
      await suite.nothingElse(late);
    });
  }

  test('[MQTT-3.1.2-15] will retain: subscribers to come get it', async () => {
    const { topic, watcher, client } = await pair({ qos: 1, retain: true });
    client.destroy();
    await watcher.receive({ topic, payload: 'gone', retain: false });
    const late = await suite.client();
    await late.subscribe(topic, 1);
    await late.receive({ topic, payload: 'gone', retain: true, qos: 1 });
  });

  test('[MQTT-3.14.4-3] [MQTT-3.1.2-10] DISCONNECT 0x00 removes the will', async () => {
    for (const fields of [{}, { reason: 0 }, { reason: 0, properties: {} }]) {
      const { watcher, client } = await pair();
      await client.disconnect(fields);
      await suite.nothingElse(watcher);
    }
  });

  test('[MQTT-3.1.2-8] DISCONNECT 0x04 and other reasons publish it', async () => {
    for (const reason of [0x04, 0x80, 0x98]) {
      const { topic, watcher, client } = await pair({ qos: 1 });
      await client.disconnect({ reason });
      await watcher.receive({ topic, payload: 'gone' });
    }
  });

  test('[MQTT-3.1.2-8] a protocol error publishes it', async () => {
    const { topic, watcher, client } = await pair();
    client.send(packet('pingreq', 1));
    await client.expectDisconnect(0x81);
    await watcher.receive({ topic });
  });

  test('[MQTT-3.1.2-8] [MQTT-3.1.4-3] a takeover publishes it, with a new session or an old one', async () => {
    for (const clean of [true, false]) {
      const expiry = { sessionExpiryInterval: 60 };
      const { topic, clientId, watcher, client } = await pair({}, expiry);
      const second = await suite.client({ clientId, clean, sessionPresent: !clean });
      await client.expectDisconnect(0x8e);
      await watcher.receive({ topic });
      await second.disconnect();
      await suite.nothingElse(watcher);
    }
  });

  test('[MQTT-3.1.2-10] a will is published once', async () => {
    const { topic, clientId, watcher, client } = await pair({}, { sessionExpiryInterval: 60 });
    client.destroy();
    await watcher.receive({ topic });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true });
    back.destroy();
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.2-7] each connection has its own will', async () => {
    const { topic, clientId, watcher, client } = await pair({}, { sessionExpiryInterval: 60 });
    await client.disconnect();
    const will = { topic, payload: 'second', qos: 1 };
    const second = await suite.client({ clientId, clean: false, will });
    second.destroy();
    await watcher.receive({ payload: 'second' });
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.3-10] [MQTT-3.3.2-4] [MQTT-3.3.2-17] the properties of the will come with it', async () => {
    const userProperties: [string, string][] = [
      ['z', '1'],
      ['a', '2'],
      ['z', '3'],
    ];
    const properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 500,
      contentType: 'text/plain',
      responseTopic: 'reply/here',
      correlationData: Buffer.from([1, 0, 255]),
      userProperties,
    };
    const { topic, watcher, client } = await pair({ qos: 1, properties });
    client.destroy();
    const message = await watcher.receive({ topic });
    const { messageExpiryInterval = 0, ...rest } = message.properties;
    assert.ok(messageExpiryInterval >= 490 && messageExpiryInterval <= 500);
    const { messageExpiryInterval: _sent, ...sent } = properties;
    assert.deepEqual(rest, sent);
  });

  test('[MQTT-3.1.2-9] an empty will payload is a will', async () => {
    const { topic, watcher, client } = await pair({ payload: '' });
    client.destroy();
    await watcher.receive({ topic, payload: '' });
  });

  test('[MQTT-3.1.2-8] a will is stored when nobody is there to see it', async () => {
    const topic = unique();
    const absentId = unique();
    const absent = await suite.client({
      clientId: absentId,
      properties: { sessionExpiryInterval: 60 },
    });
    await absent.subscribe(topic, 1);
    await absent.disconnect();
    const client = await suite.client({ will: { topic, payload: 'gone', qos: 1 } });
    await client.disconnect({ reason: 4 });
    const back = await suite.client({ clientId: absentId, clean: false, sessionPresent: true });
    await back.receive({ topic, payload: 'gone' });
  });
});

describe('MQTT 5 will delay', together, () => {
  const delayed = { qos: 1, properties: { willDelayInterval: 2 } };
  const long = { qos: 1, properties: { willDelayInterval: 3600 } };

  test('[MQTT-3.1.2-8] the will waits for its delay', async () => {
    const { topic, watcher, client } = await pair(delayed, { sessionExpiryInterval: 60 });
    const start = performance.now();
    client.destroy();
    await suite.nothingElse(watcher);
    await watcher.receive({ topic });
    const waitedMs = performance.now() - start;
    assert.ok(waitedMs >= 1950, `after ${waitedMs} ms`);
  });

  test('[MQTT-3.1.3-9] a connection within the delay cancels the will', async () => {
    const { clientId, watcher, client } = await pair(delayed, { sessionExpiryInterval: 60 });
    client.destroy();
    const back = await suite.client({ clientId, clean: false, sessionPresent: true });
    await seconds(2.7);
    await back.disconnect({ reason: 4 });
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.3-9] a takeover by the same session cancels a delayed will', async () => {
    const { clientId, watcher, client } = await pair(delayed, { sessionExpiryInterval: 60 });
    const second = await suite.client({ clientId, clean: false, sessionPresent: true });
    await client.expectDisconnect(0x8e);
    await seconds(2.7);
    await second.ping();
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.2-8] the end of the session ends the delay: expiry 0 or no expiry', async () => {
    for (const properties of [{}, { sessionExpiryInterval: 0 }]) {
      const { topic, watcher, client } = await pair(long, properties);
      client.destroy();
      await watcher.receive({ topic });
    }
  });

  test('[MQTT-3.1.2-8] the end of the session ends the delay: an expiry shorter than the delay', async () => {
    const { topic, watcher, client } = await pair(long, { sessionExpiryInterval: 1 });
    const start = performance.now();
    client.destroy();
    await watcher.receive({ topic });
    const waitedMs = performance.now() - start;
    assert.ok(waitedMs >= 950, `after ${waitedMs} ms`);
  });

  test('[MQTT-3.1.2-8] the end of the session ends the delay: a clean start', async () => {
    const { topic, clientId, watcher, client } = await pair(long, { sessionExpiryInterval: 60 });
    client.destroy();
    const second = await suite.client({ clientId, clean: true, sessionPresent: false });
    await watcher.receive({ topic });
    await second.ping();
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.2-8] the end of the session ends the delay: a clean start that takes over', async () => {
    const { topic, clientId, watcher, client } = await pair(long, { sessionExpiryInterval: 60 });
    await suite.client({ clientId, clean: true, sessionPresent: false });
    await client.expectDisconnect(0x8e);
    await watcher.receive({ topic });
  });

  test('[MQTT-3.1.2-8] the end of the session ends the delay: DISCONNECT 0x04 with expiry 0', async () => {
    const { topic, watcher, client } = await pair(long, { sessionExpiryInterval: 60 });
    await client.disconnect({ reason: 4, properties: { sessionExpiryInterval: 0 } });
    await watcher.receive({ topic });
  });

  test('[MQTT-3.14.4-3] DISCONNECT 0x00 removes a will with a delay', async () => {
    const { watcher, client } = await pair(delayed, { sessionExpiryInterval: 60 });
    await client.disconnect();
    await seconds(2.7);
    await suite.nothingElse(watcher);
  });

  test('[MQTT-3.1.2-8] the expiry of the will counts from its publication', async () => {
    const properties = { willDelayInterval: 1, messageExpiryInterval: 100 };
    const { topic, watcher, client } = await pair(
      { qos: 1, properties },
      { sessionExpiryInterval: 60 },
    );
    client.destroy();
    const message = await watcher.receive({ topic });
    assert.ok((message.properties.messageExpiryInterval ?? 0) >= 95);
    assert.equal(message.properties.willDelayInterval, undefined);
  });
});

describe('MQTT 5 will over a restart', () => {
  const restarting = new Suite();
  const notOurs = { skip: process.env['LMQTT_TEST_BROKER'] ? 'needs a broker of its own' : false };

  test(
    '[MQTT-3.1.2-7] [MQTT-3.1.2-8] kill -9: the will of a lost connection is published after the start',
    notOurs,
    async () => {
      const [topic, clientId, watcherId] = [unique(), unique(), unique()];
      const properties = { sessionExpiryInterval: 60 };
      const watcher = await restarting.client({ clientId: watcherId, properties });
      await watcher.subscribe(topic, 1);
      await restarting.client({ clientId, properties, will: { topic, payload: 'gone', qos: 1 } });
      await restarting.broker.kill();
      await restarting.broker.restart();
      const back = await restarting.client({
        clientId: watcherId,
        clean: false,
        properties,
        sessionPresent: true,
      });
      await back.receive({ topic, payload: 'gone' }, 15_000);
    },
  );
});
