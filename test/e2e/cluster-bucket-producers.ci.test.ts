// Past LIGHT_QUEUES_MAX queues of exact topics share buckets. Back ends do not know that: what they
// send to such a queue by its own name reaches its device once, whichever ds lives, and only it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BackEndCluster,
  backEndSkip as skip,
  backEndTopic as topic,
  lmqOf as lmq,
} from '../harness/back-end-cluster.ts';
import {
  createTopic,
  prepare,
  produce,
  type ProducedMessage,
} from '../harness/rocketmq/producer.ts';
import type { RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import type { StoreCluster } from '../harness/store-cluster.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const deviceMs = 60_000;
const devices = 8;
const rounds = 40;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;

let backEnds: BackEndCluster;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;

const device = (fields: Parameters<BackEndCluster['device']>[0] = {}): Promise<RawClient> =>
  backEnds.device(fields);

const messageTo = (name: string, body: string, tag = 'MQ2MQTT'): ProducedMessage => ({
  topic,
  body,
  queueId: name.length % 4,
  properties: {
    ...(tag === '' ? {} : { TAGS: tag }),
    INNER_MULTI_DISPATCH: lmq(name),
    originMqttTopic: name,
    qosLevel: '1',
  },
});

const send = async (name: string, body: string, tag?: string): Promise<void> => {
  await produce(rocketmq.broker().port, messageTo(name, body, tag));
};

const dispatched = (result: string): Promise<number> =>
  backEnds.counted(`lmqtt_rocketmq_dispatches_total{result="${result}"}`);

async function payloadsUntil(client: RawClient, last: string): Promise<string[]> {
  const payloads: string[] = [];
  for (;;) {
    const { payload } = await client.receive({}, deviceMs);
    payloads.push(payload.toString());
    if (payload.toString() === last) return payloads;
  }
}

void describe('back ends and queues that share buckets', { skip }, () => {
  before(async () => {
    backEnds = await BackEndCluster.start({
      settings: { MAX_OVERLAPPING_SUBSCRIPTIONS: '1000' },
      dsSettings: { LIGHT_QUEUES_MAX: '1', LIGHT_QUEUE_BUCKETS: '2', TAIL_TOPICS: 'orders' },
    });
    ({ rocketmq, nodes: cluster } = backEnds);
    // The only queue that has a light queue of its own.
    await (await device()).subscribe(unique('alone'), 1);
  });

  after(() => backEnds?.close());

  void test('each device gets its own messages once, live and when it was absent', async () => {
    const stem = unique();
    const names = Array.from({ length: devices }, (_, number) => `${stem}/device/${number}`);
    const clients = await Promise.all(
      names.map(async (name, number) => {
        const clientId = `${stem}-${number}`;
        const client = await device({ clientId, ...lasting });
        await client.subscribe(name, 1);
        if (number % 2 === 1) await client.disconnect();
        return client;
      }),
    );
    const expected = Array.from({ length: rounds }, (_, round) => `command ${round}`);
    for (const payload of expected) await Promise.all(names.map((name) => send(name, payload)));
    for (const [number, name] of names.entries()) {
      const absent = { clientId: `${stem}-${number}`, ...lasting, sessionPresent: true };
      const client = number % 2 === 0 ? clients[number]! : await device(absent);
      await send(name, 'last');
      assert.deepEqual(await payloadsUntil(client, 'last'), [...expected, 'last'], name);
    }
  });

  void test('filters with wildcards that share light queues, since there are many kinds of them', async () => {
    const levels = ['floor', 'room', 'wall', 'lamp', 'light', 'colour'];
    const stem = unique();
    const name = [stem, ...levels].join('/');
    const filters = Array.from({ length: 60 }, (_, number) =>
      [stem, ...levels.map((level, at) => (((number + 1) >> at) & 1 ? '+' : level))].join('/'),
    );
    const all = await device();
    await all.subscribe(
      filters.map((filter) => ({ filter, qos: 1 })),
      1,
    );
    const last = await device();
    await last.subscribe(filters.at(-1)!, 1);
    const expected = Array.from({ length: rounds }, (_, round) => `command ${round}`);
    for (const body of expected) {
      const message = messageTo(name, body);
      const properties = { ...message.properties, INNER_MULTI_DISPATCH: lmq(filters.at(-1)!) };
      await produce(rocketmq.broker().port, { ...message, properties });
    }
    for (const client of [last, all])
      assert.deepEqual(await payloadsUntil(client, expected.at(-1)!), expected);
    await last.expectNothing();
    await all.expectNothing();
  });

  void test('whatever its tag, by its topic alone, and in a transaction', async () => {
    const name = unique('tags');
    const client = await device();
    await client.subscribe(name, 1);
    await send(name, 'no tag', '');
    await client.receive({ payload: 'no tag' }, deviceMs);
    await send(name, 'another', 'OTHER');
    await client.receive({ payload: 'another' }, deviceMs);
    const plain = messageTo(name, 'no topic');
    const { originMqttTopic: _, ...properties } = plain.properties ?? {};
    await produce(rocketmq.broker().port, { ...plain, properties });
    await client.receive({ topic: name, payload: 'no topic' }, deviceMs);
    const { port } = rocketmq.broker();
    await (
      await prepare(port, messageTo(name, 'rolled back'))
    )('rollback');
    await (
      await prepare(port, messageTo(name, 'committed'))
    )('commit');
    await client.receive({ payload: 'committed' }, deviceMs);
    // The cluster's own messages are not sent on.
    const before = await dispatched('stored');
    await client.publish(name, 'own', { qos: 1 });
    await client.receive({ payload: 'own' }, deviceMs);
    assert.equal(await dispatched('stored'), before);
  });

  void test('in a topic of its own that TAIL_TOPICS names, made later', async () => {
    const name = unique('topics');
    const client = await device();
    await client.subscribe(name, 1);
    await createTopic(rocketmq.broker().port, 'orders');
    // A message stored before a ds has seen the topic is not sent on.
    const seen = async (): Promise<boolean> => {
      const all = await Promise.all(cluster.ds.map((node) => node.metrics()));
      return all.some((each) =>
        [...each.keys()].some((key) => key.includes('tail_lag') && key.includes('orders/')),
      );
    };
    while (!(await seen())) await delay(100);
    await produce(rocketmq.broker().port, { ...messageTo(name, 'from orders'), topic: 'orders' });
    await client.receive({ topic: name, payload: 'from orders' }, deviceMs);
  });

  void test('filters with wildcards that share a bucket, since very many match one topic', async () => {
    const root = unique('wide');
    const levels = ['floor', 'room', 'wall', 'lamp', 'light', 'colour', 'is', 'not', 'blue', 'now'];
    const filters = Array.from({ length: 600 }, (_, number) =>
      [root, ...levels.map((level, at) => (((number + 1) >> at) & 1 ? '+' : level))].join('/'),
    );
    const client = await device();
    for (let at = 0; at < filters.length; at += 100)
      await client.subscribe(
        filters.slice(at, at + 100).map((filter) => ({ filter, qos: 1 })),
        1,
      );
    const name = [root, ...levels].join('/');
    const before = await dispatched('stored');
    const message = messageTo(name, 'from a back end');
    // The last ones have no room any more among the names of a message.
    const names = { INNER_MULTI_DISPATCH: filters.slice(-3).map(lmq).join(',') };
    const properties = { ...message.properties, ...names };
    await produce(rocketmq.broker().port, { ...message, properties });
    await client.receive({ topic: name, payload: 'from a back end' }, deviceMs);
    assert.equal(await dispatched('stored'), before + 1);
    await client.publish(name, 'last', { qos: 1 });
    await client.receive({ topic: name, payload: 'last' }, deviceMs);
  });

  void test('once and in order, though the ds that sends them on is killed', async () => {
    const name = unique('killed');
    const clientId = unique();
    const client = await device({ clientId, ...lasting });
    await client.subscribe(name, 1);
    await client.disconnect();
    const expected: string[] = [];
    let isDone = false;
    const producing = (async () => {
      for (let number = 0; !isDone; number += 1) {
        const payload = `command ${number}`;
        await send(name, payload);
        expected.push(payload);
        // Starts take seconds: thousands of messages would be in the way of the test's end.
        await delay(20);
      }
    })();
    // Whichever has the tail, it is killed in the midst of it.
    for (const node of cluster.ds) {
      const reached = expected.length + rounds;
      while (expected.length < reached) await delay(5);
      await node.kill();
      await node.start();
      await cluster.untilReady();
    }
    isDone = true;
    await producing;
    await send(name, 'last');
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    assert.deepEqual(await payloadsUntil(back, 'last'), [...expected, 'last']);
  });
});
