import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { clientId, epoch, nodeId, queueId } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { Append, InboundId } from '@lmqtt/ds/queue-store/queue-store';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { registryUnderTest } from './redis-registry.ts';
import { NodesInMemory } from './rocketmq-ports.ts';
import { type OpenStore, openStore, StoreSurroundings } from './rocketmq-store.ts';

const needed = requireRocketmq();
let cluster: RocketmqCluster;

before(async () => {
  if (needed.skip === false) cluster = await startRocketmq();
});

after(() => cluster?.close());

function make(topic: string, queue: number, text: string, inbound?: InboundId): Append {
  const payload = Buffer.from(text);
  const qos = inbound === undefined ? 1 : 2;
  return {
    message: messageOf({ topic, qos, retain: false, payload, publisher: topic }),
    queues: [queueId(queue)],
    lane: topic,
    inbound,
    reasonCode: -1,
    orderKey: undefined,
  };
}

function append({ store }: OpenStore, batch: Append[]): Promise<void> {
  return new Promise((resolve) => {
    let open = batch.length;
    store.append(batch, (answered) => {
      open -= answered.length;
      if (open === 0) resolve();
    });
  });
}

async function readAll({ store }: OpenStore, queue: number): Promise<string[]> {
  const texts: string[] = [];
  for (const { partition, first } of await store.ends(queueId(queue))) {
    for (let from = first; ;) {
      const request = { queue: queueId(queue), partition, from, messagesMax: 256, bytesMax: 1e9 };
      const { messages, next } = await store.read(request);
      if (messages.length === 0) break;
      for (const { payload } of messages) texts.push(payload.toString());
      from = next;
    }
  }
  return texts;
}

async function until(what: string, ms: number, look: () => boolean | Promise<boolean>) {
  const endMs = performance.now() + ms;
  while (!(await look())) {
    assert.ok(performance.now() < endMs, what);
    await delay(20);
  }
}

/** Publishers that send the next message when the one before is answered. */
class Publishers {
  readonly acknowledged: string[] = [];
  readonly told: string[] = [];
  failed = 0;
  #open = 0;
  #stopped = false;
  readonly #opened: OpenStore;
  readonly #next: number[];

  constructor(opened: OpenStore, lanes: number, inFlight: number) {
    this.#opened = opened;
    this.#next = Array.from({ length: lanes }, () => 0);
    const first: Append[] = [];
    for (let n = 0; n < inFlight; n += 1)
      for (let lane = 0; lane < lanes; lane += 1) first.push(this.#make(lane));
    this.#send(first);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await until('all is answered', 60_000, () => this.#open === 0);
  }

  #make(lane: number): Append {
    return make(`lane/${lane}`, 1, `${lane} ${this.#next[lane]!++}`);
  }

  #send(batch: Append[]): void {
    this.#open += batch.length;
    this.#opened.store.append(batch, (answered) => this.#answered(answered));
  }

  #answered(answered: Append[]): void {
    this.#open -= answered.length;
    const more: Append[] = [];
    for (const { message, reasonCode } of answered) {
      const text = message.payload.toString();
      if (reasonCode === 0) this.acknowledged.push(text);
      else this.failed += 1;
      if (!this.#stopped) more.push(this.#make(Number(text.split(' ')[0])));
    }
    if (more.length > 0) this.#send(more);
  }
}

/** The first of each text is in the order of its lane. */
function assertOrder(texts: readonly string[]): void {
  const seen = new Set<string>();
  const last = new Map<string, number>();
  for (const text of texts) {
    if (seen.has(text)) continue;
    seen.add(text);
    const [lane = '', number = ''] = text.split(' ');
    assert.ok(Number(number) > (last.get(lane) ?? -1), `${text} after ${last.get(lane)}`);
    last.set(lane, Number(number));
  }
}

test('kill -9 of the broker: nothing acknowledged is lost, traffic goes on', needed, async (t) => {
  const around = new StoreSurroundings('killed');
  const opened = await openStore(cluster, around);
  t.after(() => opened.close());
  const arrived = new Set<string>();
  opened.store.onArrivals((messages) => {
    for (const { payload } of messages) arrived.add(payload.toString());
  });
  const publishers = new Publishers(opened, 10, 2);
  await until('traffic', 30_000, () => publishers.acknowledged.length > 300);
  await cluster.broker().kill9();
  const before = publishers.acknowledged.length;
  await cluster.broker().start();
  await until('traffic again', 15_000, () => publishers.acknowledged.length > before + 100);
  await publishers.stop();
  const stored = await readAll(opened, 1);
  assertOrder(stored);
  const there = new Set(stored);
  for (const text of publishers.acknowledged) assert.ok(there.has(text), `${text} is lost`);
  await until('all arrive', 30_000, () =>
    publishers.acknowledged.every((text) => arrived.has(text)),
  );
});

test('what is appended before the start is stored and told soon after it', needed, async (t) => {
  const around = new StoreSurroundings('early');
  const before = await openStore(cluster, around);
  await append(before, [make('early/one', 1, 'one')]);
  await before.close();
  const early = make('early/two', 1, 'two');
  const arrived = new Set<string>();
  let isAnswered = false;
  const opened = await openStore(cluster, around, {
    settings: { refreshMs: 60_000 },
    beforeStart: async (store) => {
      store.onArrivals((messages) => {
        for (const { payload } of messages) arrived.add(payload.toString());
      });
      store.append([early], () => {
        isAnswered = true;
      });
      // It looks for its topic, and knows no broker yet.
      await delay(500);
    },
  });
  t.after(() => opened.close());
  await until('stored and told', 5000, () => isAnswered && arrived.has('two'));
  assert.equal(early.reasonCode, 0);
});

test('two stores share the tails, and one takes over from the other', needed, async (t) => {
  const around = new StoreSurroundings('shared');
  const [one, two] = [nodeId('ds-1'), nodeId('ds-2')];
  const first = await openStore(cluster, around, { self: one });
  const told = new Map<string, number>();
  const listen = ({ store }: OpenStore): void => {
    store.onArrivals((messages: Message[]) => {
      for (const { payload } of messages) {
        const text = payload.toString();
        told.set(text, (told.get(text) ?? 0) + 1);
      }
    });
  };
  listen(first);
  const owners = (): (string | undefined)[] => around.ownership.owned.map(({ owner }) => owner);
  await until('the first has all', 10_000, () => owners().filter((o) => o === one).length === 4);

  const nodes = new NodesInMemory(one, two);
  const second = await openStore(cluster, around, { self: two, nodes });
  t.after(() => second.close());
  listen(second);
  first.nodes.set(one, two);
  await until(
    'the second has some',
    10_000,
    () => owners().includes(two) && owners().includes(one),
  );

  const publishers = new Publishers(first, 20, 1);
  await until('traffic', 20_000, () => publishers.acknowledged.length > 200);
  await publishers.stop();
  await until('all arrive', 10_000, () => publishers.acknowledged.every((text) => told.has(text)));
  for (const [text, times] of told) assert.equal(times, 1, `${text} came ${times} times`);

  first.crash();
  around.ownership.judged(one);
  nodes.set(two);
  await until('the second has all', 10_000, () => owners().every((owner) => owner === two));
  const more = new Publishers(second, 5, 1);
  await until('traffic again', 20_000, () => more.acknowledged.length > 50);
  await more.stop();
  await until('all arrive', 10_000, () => more.acknowledged.every((text) => told.has(text)));
});

test('QoS 2 of which no answer came: stored once, whatever happened', needed, async (t) => {
  const around = new StoreSurroundings('unsure');
  const opened = await openStore(cluster, around, { settings: { appendWaitMs: 60_000 } });
  t.after(() => opened.close());
  const broker = opened.client.broker(cluster.broker().address);
  const ids = (packetId: number): InboundId => ({
    clientId: clientId('c'),
    epoch: epoch(1),
    packetId,
  });
  await append(opened, [make('warm/up', 1, 'warm')]);
  const sent: Promise<void>[] = [];
  const batches: Append[] = [];
  for (let n = 1; n <= 40; n += 1) {
    const one = make(`t/${n % 7}`, 2, `${n % 7} ${n}`, ids(n));
    batches.push(one);
    sent.push(append(opened, [one]));
    await delay(2);
    // A message that was written is stored, or not, and its answer does not come.
    if (n % 10 === 0) broker.reset('a test');
  }
  await Promise.all(sent);
  for (const { reasonCode } of batches) assert.equal(reasonCode, 0);
  const stored = await readAll(opened, 2);
  assert.equal(stored.length, 40);
  assert.equal(new Set(stored).size, 40);
  assertOrder(stored);
  for (let n = 1; n <= 40; n += 1)
    assert.equal(await opened.store.outcome(clientId('c'), epoch(1), n), 'stored');
  assert.equal(around.intents.kept.size, 0);
});

test('an intent that another ds left is found out', needed, async (t) => {
  const around = new StoreSurroundings('left');
  const opened = await openStore(cluster, around);
  t.after(() => opened.close());
  const id: InboundId = { clientId: clientId('c'), epoch: epoch(1), packetId: 5 };
  const intend = around.intents.stored.bind(around.intents);
  // The ds dies before it can say that the message is stored.
  around.intents.stored = () => undefined;
  opened.store.append([make('left/over', 1, 'text', id)], () => assert.fail('not answered'));
  await until('stored', 20_000, async () => (await readAll(opened, 1)).length === 1);
  around.intents.stored = intend;
  const missing = { ...[...around.intents.kept.values()][0]!, packetId: 6, key: 'NONE' };
  around.intents.intend([missing], () => undefined);

  const next = await openStore(cluster, around, { self: nodeId('ds-2') });
  t.after(() => next.close());
  assert.equal(await next.store.outcome(id.clientId, epoch(2), 5), 'stored');
  assert.equal(await next.store.outcome(id.clientId, epoch(2), 6), 'unknown');
  await until('known', 20_000, async () => {
    const outcome = await next.store.outcome(id.clientId, epoch(2), 6);
    return outcome === 'not stored';
  });
  assert.equal(around.intents.kept.size, 0);
});

test(
  'a ds that is cut off from its registry sends no more, another reads on',
  needed,
  async (t) => {
    const redisNeeded = requireRedis();
    if (redisNeeded.skip !== false) {
      t.skip(redisNeeded.skip);
      return;
    }
    const redis: RedisServer = await startRedis();
    const under = registryUnderTest(t, redis);
    t.after(() => redis.close());
    const around = new StoreSurroundings('fenced');
    const ds = [await under.ds('ds-1'), await under.ds('ds-2')] as const;
    for (const each of ds) await each.start();
    await until('they know each other', 10_000, () =>
      ds.every(({ registry }) => registry.nodes.ds.length === 2),
    );
    const [one, two] = [
      await openStore(cluster, around, { self: ds[0].id, registry: ds[0].registry }),
      await openStore(cluster, around, { self: ds[1].id, registry: ds[1].registry }),
    ];
    // Before their registry and its Redis.
    try {
      const told = new Set<string>();
      for (const { store } of [one, two]) {
        store.onArrivals((messages) => {
          for (const { payload } of messages) told.add(payload.toString());
        });
      }
      const isolated = new Set<string>();
      const publishers = new Publishers(two, 10, 1);
      await until('traffic', 30_000, () => publishers.acknowledged.length > 100);
      under.partition(ds[0]);
      await until('its lease has ended', 10_000, () => ds[0].leases.at(-1) === false);
      one.store.onArrivals((messages) => {
        for (const { payload } of messages) isolated.add(payload.toString());
      });
      const late = make('fenced/out', 1, 'late');
      const answered = append(one, [late]);
      const before = publishers.acknowledged.length;
      await until('traffic goes on', 20_000, () => publishers.acknowledged.length > before + 100);
      await publishers.stop();
      await until('all arrive', 20_000, () =>
        publishers.acknowledged.every((text) => told.has(text)),
      );
      assert.equal(isolated.size, 0);
      assert.equal(late.reasonCode, 0);
      assert.equal((await readAll(two, 1)).includes('late'), false);
      under.heal(ds[0]);
      await answered;
      assert.equal(late.reasonCode, 0);
      await until('both read again', 20_000, () => told.has('late') || isolated.has('late'));
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  },
);
