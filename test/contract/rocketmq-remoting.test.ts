// Each request of the remoting client against a real broker and its name server.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import type { BrokerConnection } from '@lmqtt/ds/rocketmq/remoting/broker-connection';
import type { RocketmqClient } from '@lmqtt/ds/rocketmq/remoting/client';
import { RemotingError } from '@lmqtt/ds/rocketmq/remoting/errors';
import type { SendAnswer } from '@lmqtt/ds/rocketmq/remoting/requests/send-message';
import { requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { bodiesIn, clientOf, messageTo, pullOnce, readAll, sendOnce } from './rocketmq-client.ts';

const needed = requireRocketmq();
const topic = 'place';
const first = { topic, queueId: 0 };

let cluster: RocketmqCluster;
let client: RocketmqClient;
let broker: BrokerConnection;

const isOld = (): boolean => cluster.version.startsWith('4.');

before(async () => {
  if (needed.skip !== false) return;
  cluster = await startRocketmq();
  client = clientOf(cluster);
  broker = client.broker(cluster.broker().address);
  await client.createTopic(broker.address, { topic, readQueues: 4, writeQueues: 4 });
});

after(async () => {
  client?.close();
  await cluster?.close();
});

async function stored(request: Parameters<typeof sendOnce>[1]): Promise<SendAnswer> {
  for (;;) {
    const answer = await sendOnce(broker, request);
    // A cold broker says that it is busy.
    if (answer.kind !== 'refused' || answer.code !== 2) return answer;
  }
}

/** A broker refuses with code 1 until it has counted once, a second after its start. */
async function runtimeInfo(): Promise<ReadonlyMap<string, string>> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    try {
      return await broker.runtimeInfo();
    } catch (error) {
      const isEarly = error instanceof RemotingError && error.code === 1;
      if (!isEarly || performance.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

test('name servers: route, cluster, KV', needed, async () => {
  const deadlineMs = performance.now() + 15_000;
  let route = await client.route(topic);
  while (route === undefined && performance.now() < deadlineMs) {
    await delay(50);
    route = await client.route(topic);
  }
  const [found] = route?.brokers ?? [];
  assert.deepEqual(found, {
    ...{ name: 'broker-a', cluster: 'DefaultCluster', master: broker.address },
    ...{ readQueues: 4, writeQueues: 4, readable: true, writable: true },
  });
  assert.equal(await client.route('nobody-made-this'), undefined);
  assert.deepEqual(await client.clusterInfo(), {
    brokers: [{ name: 'broker-a', cluster: 'DefaultCluster', master: broker.address }],
  });
  await client.putKv('lmqtt', 'a "key"', 'value,with;ü');
  await client.putKv('lmqtt', 'b', '2');
  assert.equal(await client.getKv('lmqtt', 'a "key"'), 'value,with;ü');
  assert.equal(await client.getKv('lmqtt', 'none'), undefined);
  assert.deepEqual(Object.fromEntries(await client.listKv('lmqtt')), {
    'a "key"': 'value,with;ü',
    b: '2',
  });
  assert.equal((await client.listKv('none')).size, 0);
});

test('a send is stored, and pulled from its queue and its light queues', needed, async () => {
  const before = Date.now();
  const answer = await stored(messageTo(topic, 'one', ['x+/"\\ü'.replace('/', '%'), 'y']));
  assert.ok(answer.kind === 'stored');
  assert.equal(answer.code, 0);
  assert.deepEqual([answer.queueId, answer.queueOffset], [0, 0]);
  assert.match(answer.msgId, /^[0-9A-F]{32}$/);
  assert.equal(answer.transactionId !== undefined, !isOld());
  await stored(messageTo(topic, 'two', ['y']));

  const waited = await pullOnce(broker, '%LMQ%y', 1, { suspendMs: 5000 });
  assert.ok(waited.kind === 'found');
  assert.deepEqual(bodiesIn(waited.body), ['two']);
  assert.deepEqual([waited.next, waited.min, waited.max], [2, 0, 2]);
  assert.deepEqual(await readAll(broker, '%LMQ%y'), ['one', 'two']);
  assert.deepEqual(await readAll(broker, '%LMQ%x+%"\\ü'), ['one']);
  assert.deepEqual(await readAll(broker, topic), ['one', 'two']);
  const ordinary = await pullOnce(broker, topic, 0, { subscription: 'OTHER || MQTT_COMMON' });
  assert.ok(ordinary.kind === 'found');
  assert.ok(ordinary.body.includes('one "\\ü\u0002'));

  const place = { topic: '%LMQ%y', queueId: 0 };
  assert.equal(await broker.maxOffset(place), 2);
  assert.equal(await broker.minOffset(place), 0);
  assert.equal(await broker.maxOffset({ topic: '%LMQ%none', queueId: 0 }), 0);
  assert.equal(await broker.searchOffset(place, before - 10_000), 0);
  assert.equal(await broker.searchOffset(place, Date.now() + 60_000), isOld() ? 1 : 2);
});

test('a pull that finds nothing says where to go on', needed, async () => {
  const end = await pullOnce(broker, '%LMQ%y', 2);
  assert.deepEqual(end, { kind: 'nothing', code: 19, next: 2, min: 0, max: 2 });
  const beyond = await pullOnce(broker, '%LMQ%y', 99);
  assert.deepEqual(beyond, { kind: 'nothing', code: 21, next: 2, min: 0, max: 2 });
  const none = await pullOnce(broker, '%LMQ%none', 0);
  assert.ok(none.kind === 'nothing' && none.code === 19);
  const untagged = await pullOnce(broker, topic, 0, { subscription: 'OTHER' });
  assert.ok(untagged.kind === 'nothing' && untagged.code === 20);
  assert.equal(untagged.next, 2);
  const illegal = await pullOnce(broker, '%LMQ%y', 0, { queueId: 1 });
  assert.ok(illegal.kind === 'failed' && illegal.code !== undefined);
});

test('a long poll wakes when something arrives', needed, async () => {
  const waiting = pullOnce(broker, topic, 2, { suspendMs: 15_000 });
  const atMs = performance.now();
  await stored(messageTo(topic, 'three'));
  const found = await waiting;
  assert.ok(found.kind === 'found');
  assert.deepEqual(bodiesIn(found.body), ['three']);
  assert.ok(performance.now() - atMs < 10_000);
});

test('what cannot be stored is refused for certain', needed, async () => {
  const huge = { ...messageTo(topic, 'x'), body: Buffer.alloc(4 * 1024 * 1024 + 100) };
  const answer = await sendOnce(broker, huge);
  assert.deepEqual([answer.kind, 'code' in answer && answer.code], ['refused', 13]);
  const noSuchQueue = await sendOnce(broker, { ...messageTo(topic, 'x'), queueId: 99 });
  assert.equal(noSuchQueue.kind, 'refused');
  assert.equal(await broker.maxOffset(first), 3);
});

test('consumer offsets', needed, async () => {
  const never = await broker.queryConsumerOffset('%LMQ%group', first);
  assert.equal(never, isOld() ? 0 : undefined);
  await broker.updateConsumerOffset('%LMQ%group', first, 2);
  assert.equal(await broker.queryConsumerOffset('%LMQ%group', first), 2);
  await broker.updateConsumerOffset('%LMQ%group', first, 1);
  assert.equal(await broker.queryConsumerOffset('%LMQ%group', first), 1);
});

test('settings of the broker are read and changed', needed, async () => {
  const settings = await broker.brokerConfig();
  assert.equal(settings.get('enableLmq'), 'true');
  assert.equal(settings.get('listenPort'), broker.address.split(':')[1]);
  await broker.updateBrokerConfig({ waitTimeMillsInSendQueue: '4321', maxMessageSize: '5000000' });
  const changed = await broker.brokerConfig();
  assert.equal(changed.get('waitTimeMillsInSendQueue'), '4321');
  assert.equal(changed.get('maxMessageSize'), '5000000');
  assert.match((await runtimeInfo()).get('brokerVersionDesc') ?? '', /^V\d/);
});

test('a light queue is deleted and begins again', needed, async () => {
  await broker.deleteTopic('%LMQ%y');
  const place = { topic: '%LMQ%y', queueId: 0 };
  assert.equal(await broker.maxOffset(place), 0);
  await stored(messageTo(topic, 'again', ['y']));
  const found = await pullOnce(broker, '%LMQ%y', 0, { suspendMs: 5000 });
  assert.ok(found.kind === 'found');
  assert.deepEqual(bodiesIn(found.body), ['again']);
});

test('kill -9 amid sends: what is stored is there, what was not sent is not', needed, async () => {
  const lmq = 'ledger';
  const byKind = { stored: new Set<string>(), refused: new Set<string>() };
  const others = { unknown: new Set<string>(), 'not sent': new Set<string>() };
  const kinds = { ...byKind, ...others };
  let sent = 0;
  let ending = false;
  const states: boolean[] = [];
  const stopStates = broker.onState((isUp) => states.push(isUp));
  const lane = async (): Promise<void> => {
    while (!ending) {
      const text = String((sent += 1));
      const request = { ...messageTo(topic, text, [lmq]), timeoutMs: 1000 };
      kinds[(await sendOnce(broker, request)).kind].add(text);
    }
  };
  const enough = async (count: number): Promise<void> => {
    while (kinds.stored.size < count) await new Promise(setImmediate);
  };
  const lanes = Array.from({ length: 64 }, lane);
  await enough(2000);
  await cluster.broker().kill9();
  const back = cluster.broker().start();
  while (!states.includes(false)) await new Promise(setImmediate);
  // Several times as long as a request waits: some are never written.
  await back;
  await enough(kinds.stored.size + 1000);
  ending = true;
  await Promise.all(lanes);
  stopStates();

  const last = await sendOnce(broker, messageTo(topic, 'last', [lmq]));
  assert.equal(last.kind, 'stored');
  let there = new Set<string>();
  while (!there.has('last')) there = new Set(await readAll(broker, `%LMQ%${lmq}`));
  const lost = [...kinds.stored].filter((text) => !there.has(text));
  const wrong = [...kinds.refused, ...kinds['not sent']].filter((text) => there.has(text));
  assert.deepEqual([lost, wrong], [[], []]);
  assert.ok(kinds.unknown.size > 0);
  assert.ok(kinds['not sent'].size > 0);
  assert.deepEqual(states.slice(0, 2), [false, true]);
});

test('a broker that is stopped: what was written is unknown, and it goes on', needed, async () => {
  cluster.broker().pause();
  // A signal takes a moment to stop every thread.
  await delay(200);
  const request = { ...messageTo(topic, 'frozen', ['frozen']), timeoutMs: 500 };
  const answer = await sendOnce(broker, request);
  assert.equal(answer.kind, 'unknown');
  cluster.broker().resume();
  assert.equal((await stored(messageTo(topic, 'thawed', ['frozen']))).kind, 'stored');
});
