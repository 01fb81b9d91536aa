// A narrow link between cs and ds is slow and nothing else: no lease is lost, no client is cut, no
// will goes out, and all that was acknowledged is delivered, later.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connected, unique } from '../harness/wire.ts';
import { answerMs, patienceMs, publishAll, receiveAll, SlowLink, wide } from './slow-link.ts';

const mib = 1 << 20;

interface Load {
  readonly bitsPerSecond: number;
  readonly count: number;
  readonly bytes: number;
}

const loads: readonly Load[] = [
  { bitsPerSecond: 2e6, count: 200, bytes: 10_000 },
  { bitsPerSecond: 20e6, count: 2000, bytes: 10_000 },
  { bitsPerSecond: 50e6, count: 300, bytes: 50_000 },
  { bitsPerSecond: 50e6, count: 60, bytes: 500_000 },
  { bitsPerSecond: 100e6, count: 6, bytes: 10_000_000 },
];

for (const { bitsPerSecond, count, bytes } of loads) {
  const load = `${count} messages of ${bytes} bytes over ${bitsPerSecond / 1e6} Mbit/s`;
  for (const [way, from, to] of [
    ['up', 1, 2],
    ['down', 2, 1],
  ] as const) {
    void test(`slow link: ${load}, ${way}: all arrive, in order`, async (t) => {
      const link = await SlowLink.start(t, bitsPerSecond, { MAX_PACKET_SIZE: '64m' });
      const topic = unique('slow');
      const subscriber = await connected(link.port(to), { keepAliveS: 0 });
      await subscriber.subscribe(topic, 1);
      const publisher = await connected(link.port(from), { keepAliveS: 0 });
      const unharmed = await link.witness();
      await Promise.all([
        publishAll(publisher, topic, count, bytes),
        receiveAll(subscriber, topic, count, bytes),
      ]);
      await unharmed();
    });
  }
}

void test('slow link, bulk both ways: CONNECT, SUBSCRIBE and DISCONNECT of others overtake it', async (t) => {
  const link = await SlowLink.start(t, 2e6);
  const [up, down] = [unique('up'), unique('down')];
  const unharmed = await link.witness();
  const [reader, writer] = [await connected(link.port(1)), await connected(link.port(1))];
  const [far, farReader] = [await connected(link.port(2)), await connected(link.port(2))];
  await reader.subscribe(down, 1);
  await farReader.subscribe(up, 1);
  const [count, bytes] = [400, 10_000];
  let isOver = false;
  const bulk = Promise.all([
    publishAll(writer, up, count, bytes),
    receiveAll(farReader, up, count, bytes),
    publishAll(far, down, count, bytes),
    receiveAll(reader, down, count, bytes),
  ]).finally(() => {
    isOver = true;
  });
  let rounds = 0;
  do {
    const other = await connected(link.port(1), { version: 5 });
    other.sendSubscribe({ packetId: 1, filters: [{ filter: unique('other'), qos: 1 }] });
    await other.find('suback', { packetId: 1 }, answerMs);
    await other.disconnect();
    rounds += 1;
  } while (!isOver && rounds < 3);
  assert.equal(isOver, false, 'the bulk is still on its way');
  await bulk;
  await unharmed();
});

void test('slow link: a client that publishes, leaves and comes back finds its order kept', async (t) => {
  const link = await SlowLink.start(t, 2e6);
  const unharmed = await link.witness();
  const [topic, wills, clientId] = [unique('order'), unique('will'), unique('c')];
  const watcher = await connected(link.port(2));
  await watcher.subscribe([topic, wills], 0);
  const bulk = await connected(link.port(1));
  const [count, bytes] = [100, 10_000];
  const others = publishAll(bulk, unique('bulk'), count, bytes);
  const will = { topic: wills, payload: 'gone', qos: 0 } as const;
  for (let round = 0; round < 3; round++) {
    const client = await connected(link.port(1), { clientId, will });
    for (let index = 0; index < 5; index++)
      client.sendPublish({ topic, payload: `${round}.${index}`, qos: 0 });
    await client.disconnect();
  }
  await others;
  for (let round = 0; round < 3; round++)
    for (let index = 0; index < 5; index++)
      await watcher.receive({ topic, payload: `${round}.${index}` }, answerMs);
  await watcher.expectNothing();
  await unharmed();
});

void test('slow link: one page of retained messages after another', async (t) => {
  const link = await SlowLink.start(t, 2e6);
  const root = unique('retained');
  const [count, bytes] = [150, 10_000];
  const writer = await connected(link.port(2));
  for (let index = 0; index < count; index++)
    await writer.publish(`${root}/${index}`, Buffer.alloc(bytes), { qos: 1, retain: true });
  const unharmed = await link.witness();
  const reader = await connected(link.port(1));
  await reader.subscribe(`${root}/#`, 1);
  const topics = new Set<string>();
  while (topics.size < count) topics.add((await reader.receive({}, patienceMs)).topic);
  await unharmed();
});

void test('slow link: a backlog is read page after page', async (t) => {
  const link = await SlowLink.start(t, 2e6);
  const [topic, clientId] = [unique('backlog'), unique('c')];
  const before = await connected(link.port(2), { clientId, clean: false });
  await before.subscribe(topic, 1);
  await before.disconnect();
  const [count, bytes] = [150, 10_000];
  await publishAll(await connected(link.port(2)), topic, count, bytes);
  const unharmed = await link.witness();
  const reader = await connected(link.port(1), { clientId, clean: false, sessionPresent: true });
  await receiveAll(reader, topic, count, bytes);
  await unharmed();
});

void test('slow link: a wide one that becomes narrow under load goes on', async (t) => {
  const link = await SlowLink.start(t, wide);
  const topic = unique('narrow');
  const unharmed = await link.witness();
  const [publisher, subscriber] = [await connected(link.port(1)), await connected(link.port(2))];
  await subscriber.subscribe(topic, 1);
  const [count, bytes] = [1000, 10_000];
  const all = Promise.all([
    publishAll(publisher, topic, count, bytes),
    receiveAll(subscriber, topic, count, bytes),
  ]);
  while (link.proxy.carried('up') < mib) await delay(1);
  link.proxy.bitsPerSecond = 4e6;
  await all;
  await unharmed();
});

void test('slow link: publishers are held back, and what waits is bounded', async (t) => {
  const link = await SlowLink.start(t, 8e6);
  const topic = unique('held');
  const unharmed = await link.witness();
  const publishers = await Promise.all(
    Array.from({ length: 10 }, () => connected(link.port(1), { keepAliveS: 30 })),
  );
  const [count, bytes] = [100, 10_000];
  let isOver = false;
  const all = Promise.all(publishers.map((each) => publishAll(each, topic, count, bytes))).finally(
    () => {
      isOver = true;
    },
  );
  let waitingBytesMax = 0;
  while (!isOver) {
    const waiting = (await link.cluster.node(1).metrics()).get('lmqtt_link_waiting_bytes') ?? 0;
    waitingBytesMax = Math.max(waitingBytesMax, waiting);
    await delay(100);
  }
  await all;
  // The last read of each socket comes on top of the limit.
  assert.ok(waitingBytesMax > 0 && waitingBytesMax < 6 * mib, `${waitingBytesMax} bytes waited`);
  await unharmed();
});
