// A first level of MQTT topics moves to a RocketMQ topic of its own, under load: nobody notices,
// and back ends find what is published from then on where they look for it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { createTopic as createTopicAt } from '../harness/rocketmq/producer.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const maxOffsetCode = 30;
const commandMs = 60_000;
const deviceMs = 60_000;
const topics = 6;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;

let redis: RedisServer;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;

const device = (fields: Parameters<typeof connected>[1] = {}): Promise<RawClient> =>
  connected(cluster.mqttPort, { version: 5, ...fields });

async function lmqtt(...words: string[]): Promise<{ code: number | null; text: string }> {
  const process = new ServerProcess(words[0] ?? '');
  const settings = {
    NAMESRV_ADDR: rocketmq.namesrv.address,
    REDIS_URL: redis.url,
    CLUSTER_ID: cluster.clusterId,
  };
  process.spawn([...words, ...flagsOf(settings)]);
  await process.exited;
  return { code: await process.end('SIGTERM', commandMs), text: process.logs() };
}

async function createTopic(topic: string, queues?: number): Promise<void> {
  for (const { port } of rocketmq.brokers) await createTopicAt(port, topic, queues);
}

/** How many messages RocketMQ has stored in it. */
async function storedIn(topic: string): Promise<number> {
  let stored = 0;
  for (const broker of rocketmq.brokers) {
    for (let queueId = 0; queueId < 4; queueId += 1) {
      const place = { topic, queueId: `${queueId}` };
      const { fields } = await remotingRequest(broker.port, maxOffsetCode, place);
      stored += Number(fields['offset'] ?? 0);
    }
  }
  return stored;
}

/** Publishes to some topics, each in its order and as fast as it is acknowledged. */
class Load {
  readonly stem: string;
  readonly counts: number[] = Array.from({ length: topics }, () => 0);
  #isOver = false;
  readonly #runs: Promise<void>[];

  constructor(stem: string) {
    this.stem = stem;
    this.#runs = this.counts.map((_, index) => this.#publish(index));
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  async until(more: number): Promise<void> {
    const wanted = this.total + more;
    while (this.total < wanted) await delay(10);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#runs);
  }

  /** Everything that was published, in its order, once. */
  async assertAll(client: RawClient, who: string): Promise<void> {
    const next = this.counts.map(() => 0);
    for (let left = this.total; left > 0; left -= 1) {
      const { topic, payload } = await client.receive({}, deviceMs);
      const index = Number(topic.slice(this.stem.length + 1));
      assert.equal(Number(payload.toString()), next[index], `${who}: ${topic}`);
      next[index]! += 1;
    }
    assert.deepEqual(next, this.counts, who);
    await client.expectNothing();
  }

  async #publish(index: number): Promise<void> {
    const client = await device();
    const qos = index % 2 === 0 ? 1 : 2;
    while (!this.#isOver) {
      const payload = `${this.counts[index]}`;
      await client.publish(`${this.stem}/${index}`, payload, { qos, retain: true });
      this.counts[index]! += 1;
    }
  }
}

void describe('RocketMQ topics of first levels', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ brokers: [{}, {}] })]);
    cluster = new StoreCluster({ redisUrl: redis.url, namesrv: rocketmq.namesrv.address });
    await cluster.start();
  });

  after(async () => {
    closeAllClients();
    await cluster?.stop();
    await Promise.all([redis?.close(), rocketmq?.close()]);
  });

  /** The default topic of this cluster. */
  const defaultTopic = (): string => `lmqtt-${cluster.clusterId}`;

  async function assertRetained(load: Load): Promise<void> {
    const late = await device();
    await late.subscribe(`${load.stem}/#`, 1);
    const found = new Map<string, string>();
    for (let left = topics; left > 0; left -= 1) {
      const { topic, payload } = await late.receive({ retain: true }, deviceMs);
      found.set(topic, payload.toString());
    }
    for (const [index, count] of load.counts.entries())
      assert.equal(found.get(`${load.stem}/${index}`), `${count - 1}`, `retained ${index}`);
    await late.disconnect();
  }

  void test('there and back under load: nothing lost or doubled, in order, retained is the last', async () => {
    const stem = unique('sensors');
    const live = await device();
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await live.subscribe([{ filter: `${stem}/+`, qos: 2 }]);
    await absent.subscribe([{ filter: `${stem}/#`, qos: 2 }]);
    const slow = await device({ clientId: `${clientId}-slow`, ...lasting });
    await slow.subscribe([{ filter: `${stem}/#`, qos: 1 }]);
    await absent.disconnect();
    const load = new Load(stem);
    await load.until(50);
    await createTopic(stem);
    // Everybody goes on in the default topic, and that can be seen.
    await load.until(50);
    assert.match((await lmqtt('topics')).text, new RegExp(`^${stem} +lmqtt-.*topics move`, 'm'));
    const row = new RegExp(`^messages of ${stem} +warn .*lmqtt topics move ${stem}`, 'm');
    assert.match((await lmqtt('doctor')).text, row);
    assert.equal(await storedIn(stem), 0);
    const moved = await lmqtt('topics', 'move', stem);
    assert.equal(moved.code, 0, moved.text);
    const atMove = await storedIn(defaultTopic());
    await load.until(50);
    assert.ok((await storedIn(stem)) > 0);
    assert.equal(await storedIn(defaultTopic()), atMove);
    assert.match((await lmqtt('topics')).text, new RegExp(`^${stem} +${stem} +2`, 'm'));
    assert.doesNotMatch((await lmqtt('doctor')).text, new RegExp(`^messages of ${stem}`, 'm'));
    const there = await storedIn(stem);
    const back = await lmqtt('topics', 'move', stem, defaultTopic());
    assert.equal(back.code, 0, back.text);
    await load.until(50);
    await load.end();
    assert.ok((await storedIn(defaultTopic())) > atMove);
    assert.ok((await storedIn(stem)) > there);
    await load.assertAll(live, 'live');
    await load.assertAll(slow, 'slow');
    const again = await device({ clientId, ...lasting, sessionPresent: true });
    await load.assertAll(again, 'absent');
    await assertRetained(load);
  });

  void test('a move outlives all nodes', async () => {
    const stem = unique('fleet');
    const clientId = unique('absent');
    const absent = await device({ clientId, ...lasting });
    await absent.subscribe(`${stem}/#`, 1);
    await absent.disconnect();
    const publisher = await device();
    await publisher.publish(`${stem}/a`, 'before', { qos: 1, retain: true });
    await createTopic(stem);
    const moved = await lmqtt('topics', 'move', stem);
    assert.equal(moved.code, 0, moved.text);
    closeAllClients();
    await cluster.end();
    await cluster.start();
    const next = await device();
    await next.publish(`${stem}/a`, 'after', { qos: 1, retain: true });
    assert.equal(await storedIn(stem), 1);
    const back = await device({ clientId, ...lasting, sessionPresent: true });
    await back.receive({ payload: 'before' }, deviceMs);
    await back.receive({ payload: 'after' }, deviceMs);
    const late = await device();
    await late.subscribe(`${stem}/a`, 1);
    await late.receive({ payload: 'after', retain: true }, deviceMs);
  });

  void test('what cannot be moved in order stays, and the command says why', async () => {
    const stem = unique('home');
    const publisher = await device();
    await publisher.publish(`${stem}/a`, 'here', { qos: 1 });
    const refused = async (wanted: RegExp, ...words: string[]): Promise<void> => {
      const { code, text } = await lmqtt('topics', 'move', ...words);
      assert.equal(code, 1, text);
      assert.match(text, wanted);
    };
    await refused(/has not got it/, stem);
    await createTopic(stem, 1);
    await refused(/has 1 queues of it instead of 4/, stem);
    await refused(/is in no RocketMQ topic yet/, unique('never'), stem);
    await refused(/cannot be a RocketMQ topic/, stem, '%RETRY%x');
    assert.equal((await lmqtt('topics', 'move')).code, 2);
    await publisher.publish(`${stem}/a`, 'still here', { qos: 1 });
    assert.equal(await storedIn(stem), 0);
  });
});
