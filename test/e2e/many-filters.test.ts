// Very many filters with wildcards that match one topic, of one client and of many: nobody's
// publish to the topic fails for it, and each client gets each message once.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Broker } from '../harness/broker.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

const waitMs = 120_000;
const clients = 60;
const filtersOfEach = 10;
const levels = ['floor', 'room', 'wall', 'lamp', 'light', 'colour', 'is', 'not', 'blue', 'today'];
const root = unique('many');
const topic = [root, ...levels].join('/');

/** They have their wildcards in different levels. */
const filterOf = (number: number): string =>
  [root, ...levels.map((level, at) => (((number + 1) >> at) & 1 ? '+' : level))].join('/');
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
/** As much as has room in RocketMQ without any queue. */
const large = { userProperties: [['large', 'x'.repeat(30_000)]] } as const;

void describe('600 filters that match one topic', () => {
  let broker: Broker;
  const subscribers: RawClient[] = [];
  let greedy: RawClient;
  const absent = unique('absent');

  before(async () => {
    broker = await startBroker({ settings: { MAX_OVERLAPPING_SUBSCRIPTIONS: '1000' } });
    // One client with all of them, so that others find what it has left.
    greedy = await connected(broker.mqttPort, { version: 5 });
    const all = Array.from({ length: clients * filtersOfEach }, (_, number) => filterOf(number));
    for (let at = 0; at < all.length; at += 100)
      await greedy.subscribe(
        all.slice(at, at + 100).map((filter) => ({ filter, qos: 2 })),
        2,
      );
    const away = await connected(broker.mqttPort, { ...lasting, clientId: absent });
    for (let at = 0; at < clients; at += 1) {
      const subscriber = at === 0 ? away : await connected(broker.mqttPort, { version: 5 });
      const own = all.slice(at * filtersOfEach, (at + 1) * filtersOfEach);
      await subscriber.subscribe(
        own.map((filter) => ({ filter, qos: 2 })),
        2,
      );
      if (at > 0) subscribers.push(subscriber);
    }
    await away.disconnect();
  });
  after(async () => {
    closeAllClients();
    await broker.stop();
  });

  const messages = 12;

  void test('publishes of each QoS, with large properties, come once and in order', async () => {
    const five = await connected(broker.mqttPort, { version: 5 });
    const four = await connected(broker.mqttPort, { version: 4 });
    for (let number = 0; number < messages; number += 1) {
      const qos = number % 2 === 0 ? 1 : 2;
      const publisher = number % 3 === 0 ? four : five;
      const properties = publisher === five ? large : undefined;
      await publisher.publish(topic, `${number}`, {
        qos,
        ...(properties === undefined ? {} : { properties }),
      });
    }
    const comes = async (client: RawClient): Promise<void> => {
      const got: string[] = [];
      while (got.length < messages)
        got.push((await client.receive({ topic }, waitMs)).payload.toString());
      for (const publisher of [0, 1, 2]) {
        const from = got.filter((text) => Math.sign(Number(text) % 3) === Math.min(publisher, 1));
        assert.deepEqual(
          from,
          from.toSorted((a, b) => Number(a) - Number(b)),
          'in order',
        );
      }
      assert.deepEqual(
        got.toSorted((a, b) => Number(a) - Number(b)),
        Array.from({ length: messages }, (_, number) => `${number}`),
        'each once',
      );
    };
    for (const client of [greedy, ...subscribers]) await comes(client);
    const back = await connected(broker.mqttPort, {
      ...lasting,
      clientId: absent,
      sessionPresent: true,
    });
    await comes(back);
    for (const client of [greedy, back, subscribers[0]!]) await client.expectNothing();
  });

  void test('other topics of the same filters come to those whose filters match', async () => {
    const publisher = await connected(broker.mqttPort, { version: 5 });
    // Only filters with a wildcard in the first level match.
    const other = topic.replace('/floor/', '/roof/');
    await publisher.publish(other, 'roof', { qos: 1 });
    await greedy.receive({ topic: other, payload: 'roof' }, waitMs);
    for (const subscriber of subscribers)
      await subscriber.receive({ topic: other, payload: 'roof' }, waitMs);
    await publisher.publish(topic.replace('/today', '/tomorrow'), 'nobody of the first', {
      qos: 1,
    });
    await greedy.receive({ payload: 'nobody of the first' }, waitMs);
    await subscribers[0]!.expectNothing();
  });
});
