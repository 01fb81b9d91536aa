// Subscriptions that begin earlier: by a user property of SUBSCRIBE in 5.0, by the filter before.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import * as packets from '../harness/packets.ts';
import type { Version } from '../harness/packets.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const suite = new Suite({ settings: { REPLAY_S: '1d', MAX_QUEUED_MESSAGES: '5' } });

async function publishAll(topic: string, payloads: readonly string[]): Promise<void> {
  const publisher = await suite.client();
  for (const [index, payload] of payloads.entries())
    await publisher.publish(topic, payload, { qos: index % 2 === 0 ? 1 : 2 });
  await publisher.disconnect();
}

/** Subscribes from there on; the reason code. */
async function subscribeFrom(client: RawClient, filter: string, from: string): Promise<number> {
  const packetId = client.nextPacketId();
  if (client.version === 5) {
    const properties = { userProperties: [['lmqtt-from', from]] } as const;
    client.sendSubscribe({ packetId, filters: [{ filter, qos: 2 }], properties });
  } else
    client.sendSubscribe({ packetId, filters: [{ filter: `$replay/${from}/${filter}`, qos: 2 }] });
  const { reasons } = await client.find('suback', { packetId });
  return reasons[0]!;
}

async function expectAll(client: RawClient, payloads: readonly string[]): Promise<void> {
  for (const payload of payloads) await client.receive({ payload });
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

void describe('replay', () => {
  for (const version of [3, 4, 5] as Version[]) {
    for (const kind of ['topic', 'filter'] as const) {
      void test(`of a ${kind} that nobody had subscribed to, version ${version}`, async () => {
        const stem = unique('replay');
        const topic = `${stem}/a/b`;
        await publishAll(topic, numbers(0, 20));
        await publishAll(`${stem}-other/a`, ['not this']);
        const client = await suite.client({ version });
        const filter = kind === 'topic' ? topic : `${stem}/+/b`;
        assert.ok((await subscribeFrom(client, filter, 'earliest')) < 3);
        await expectAll(client, numbers(0, 20));
        await publishAll(topic, numbers(20, 25));
        await expectAll(client, numbers(20, 25));
        await client.expectNothing();
        await client.unsubscribe(version === 5 ? filter : `$replay/earliest/${filter}`);
        await publishAll(topic, ['no more']);
        await client.expectNothing();
      });
    }
  }

  void test('while messages are published: each once, in order', async () => {
    const topic = unique('live');
    const count = 600;
    await publishAll(topic, numbers(0, 100));
    const client = await suite.client({ version: 5 });
    const publishing = publishAll(topic, numbers(100, count));
    const replay = subscribeFrom(client, topic, '-1h');
    await replay;
    await expectAll(client, numbers(0, count));
    await publishing;
    await client.expectNothing();
  });

  void test('from a time', async () => {
    const topic = unique('time');
    await publishAll(topic, ['before']);
    const at = new Date(Date.now() + 20).toISOString();
    while (Date.now() < Date.parse(at) + 20) await (await suite.client()).disconnect();
    await publishAll(topic, ['after', 'later']);
    for (const version of [4, 5] as const) {
      const client = await suite.client({ version });
      await subscribeFrom(client, topic, at);
      await expectAll(client, ['after', 'later']);
      await client.expectNothing();
    }
  });

  void test('again, and after a plain subscription', async () => {
    const topic = unique('again');
    const client = await suite.client({ version: 5 });
    await client.subscribe(topic, 2);
    await publishAll(topic, numbers(0, 5));
    await expectAll(client, numbers(0, 5));
    for (let round = 0; round < 2; round += 1) {
      await subscribeFrom(client, topic, 'earliest');
      await expectAll(client, numbers(0, 5));
    }
    await publishAll(topic, ['live']);
    await client.receive({ payload: 'live' });
    await client.expectNothing();
  });

  void test('its position is state of the session', async () => {
    const topic = unique('kept');
    await publishAll(topic, numbers(0, 20));
    const fields = {
      version: 5,
      clientId: unique('c'),
      clean: false,
      properties: { sessionExpiryInterval: 600, receiveMaximum: 1 },
    } as const;
    const first = await suite.client(fields);
    await subscribeFrom(first, topic, 'earliest');
    await expectAll(first, numbers(0, 7));
    // The next message may come before the answer.
    first.send(packets.pingreq());
    await first.find('pingresp');
    await first.disconnect();
    await publishAll(topic, numbers(20, 30));
    await suite.broker.restart();
    const again = await suite.client({ ...fields, sessionPresent: true });
    await expectAll(again, numbers(7, 30));
    await publishAll(topic, ['live']);
    await again.receive({ payload: 'live' });
    await again.expectNothing();
  });

  void test('retained messages are not sent before it', async () => {
    const topic = unique('retained');
    const publisher = await suite.client();
    for (const payload of ['one', 'two'])
      await publisher.publish(topic, payload, { qos: 1, retain: true });
    const client = await suite.client({ version: 5 });
    await subscribeFrom(client, topic, 'earliest');
    await client.receive({ payload: 'one', retain: false });
    await client.receive({ payload: 'two', retain: false });
    await client.expectNothing();
  });

  void test('what names no place, or is shared, is refused; and a second replay', async () => {
    const client = await suite.client({ version: 5 });
    const topic = unique('refused');
    for (const from of ['', 'yesterday', '-1', '2030-01-01'])
      assert.equal(await subscribeFrom(client, topic, from), 0x8f);
    assert.equal(await subscribeFrom(client, `$share/g/${topic}`, 'earliest'), 0x8f);
    const old = await suite.client();
    assert.equal(await subscribeFrom(old, topic, 'yesterday'), 0x80);
    assert.equal(await subscribeFrom(client, `${topic}/1`, 'earliest'), 2);
    assert.equal(await subscribeFrom(client, `${topic}/2`, 'earliest'), 0x97);
    await client.ping();
  });
});
