// Shared groups over several ds: who gives, who gets, and what is left when one of them is gone.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { requireRedis } from '../harness/require.ts';
import { MemoryCluster, type MemoryDs } from './memory-cluster.ts';

const owners = 'lmqtt:cluster:{reg}:owners';

interface Member {
  readonly id: string;
  readonly client: MqttClient;
  readonly came: string[];
}

void describe('shared groups of a cluster', requireRedis(), () => {
  let cluster: MemoryCluster;
  let clients: MqttClient[] = [];
  let names = 0;
  const ending: Promise<void>[] = [];

  before(async () => {
    cluster = await MemoryCluster.start(11, ['ds-1', 'ds-2'], ['cs-1', 'cs-2']);
  });

  afterEach(async () => {
    for (const client of clients) client.end(true);
    clients = [];
    while (cluster.ds.length < 2) await cluster.startDs(`ds-${(names += 1) + 10}`);
  });

  after(async () => {
    await Promise.all(ending);
    await cluster.stop();
  });

  async function connected(
    node: number,
    clientId: string,
    options: IClientOptions = {},
  ): Promise<MqttClient> {
    const client = await connectAsync(`mqtt://127.0.0.1:${cluster.cs[node % 2]?.ports.mqtt}`, {
      clientId,
      clean: false,
      protocolVersion: 5,
      reconnectPeriod: 100,
      ...options,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 20, ...options.properties },
    });
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  }

  /** `test`: keeps the topics, groups and clients of tests apart. */
  async function members(
    test: string,
    count: number,
    qos: 0 | 1 | 2,
    options: IClientOptions = {},
  ): Promise<Member[]> {
    const all = Array.from({ length: count }, async (_, index): Promise<Member> => {
      const id = `${test}-${index}`;
      const client = await connected(index, id, options);
      const came: string[] = [];
      client.on('message', (_topic, payload) => came.push(payload.toString()));
      await client.subscribeAsync(`$share/${test}/${test}/+`, { qos });
      return { id, client, came };
    });
    return Promise.all(all);
  }

  /** `awayFrom`: what it has sent is not stored twice where that ds is killed. */
  async function publisher(
    test: string,
    awayFrom?: MemoryDs,
  ): Promise<(n: number, qos?: 0 | 1 | 2) => Promise<void>> {
    let client: MqttClient;
    for (let n = 0; ; n += 1) {
      const id = `${test}-publisher-${n}`;
      client = await connected(0, id);
      const key = new RedisKeys('cluster').session(id, `session:${id}`);
      const home = (await cluster.redis.command('hget', key, 'H')).trim();
      if (home !== awayFrom?.id) break;
    }
    return async (n, qos = 1) => {
      await client.publishAsync(`${test}/${n % 3}`, `${n}`, { qos });
    };
  }

  async function ownerOf(test: string): Promise<MemoryDs> {
    const id = await cluster.redis.command(
      'hget',
      'lmqtt:cluster:{reg}:groups',
      `${test}/${test}/+`,
    );
    const owned = await cluster.redis.command('hget', owners, `group ${id.trim()}`);
    const found = cluster.ds.find((ds) => owned.startsWith(ds.id));
    assert.ok(found, `nobody owns ${test}: ${owned}`);
    return found;
  }

  void test('each message goes to one member, of all on both ds', async () => {
    const all = await members('spread', 6, 1);
    const publish = await publisher('spread');
    await Promise.all(range(300).map((n) => publish(n)));
    await eventually(() => assert.equal(total(all), 300));
    await pause(200);
    assert.deepEqual(sorted(all), range(300));
    for (const { id, came } of all) assert.ok(came.length > 10, `${id} got ${came.length}`);
  });

  void test('one member gets what one publisher sends on a topic in its order', async () => {
    const all = await members('order', 1, 2);
    const publish = await publisher('order');
    await Promise.all(range(200).map((n) => publish(n, n % 2 === 0 ? 2 : 1)));
    await eventually(() => assert.equal(total(all), 200));
    for (const topic of [0, 1, 2])
      for (const qos of [0, 1]) {
        const found = all[0]!.came.map(Number).filter((n) => n % 3 === topic && n % 2 === qos);
        assert.deepEqual(
          found,
          found.toSorted((a, b) => a - b),
        );
      }
  });

  void test('QoS 0 goes to one member, wherever it was published', async () => {
    const all = await members('none', 3, 0);
    const publishers = await Promise.all(
      range(6).map((n) => connected(n, `none-publisher-${n}`, { clean: true })),
    );
    for (const [n, client] of publishers.entries())
      await client.publishAsync(`none/${n}`, `${n}`, { qos: 0 });
    await eventually(() => assert.equal(total(all), 6));
    await pause(100);
    assert.deepEqual(sorted(all), range(6));
  });

  void test('what a lost member had at QoS 1 goes to the others, in order', async () => {
    const [stuck] = await members('taken', 1, 1, { reconnectPeriod: 0 });
    const held: string[] = [];
    stuck!.client.handleMessage = (packet) => held.push(packet.payload.toString());
    const publish = await publisher('taken');
    for (const n of range(30)) await publish(n);
    await eventually(() => assert.equal(held.length, 1));
    const other = await connected(1, 'taken-other');
    const came: string[] = [];
    other.on('message', (_topic, payload) => came.push(payload.toString()));
    await other.subscribeAsync('$share/taken/taken/+', { qos: 1 });
    stuck!.client.stream.destroy();
    await eventually(() => assert.equal(came.length, 30));
    assert.deepEqual(
      came.map(Number).toSorted((a, b) => a - b),
      range(30),
    );
  });

  void test('messages wait for a last member that is persistent, and is away', async () => {
    const [sleeper] = await members('waits', 1, 1);
    const publish = await publisher('waits');
    await publish(0);
    await eventually(() => assert.equal(total([sleeper!]), 1));
    await sleeper!.client.endAsync();
    for (const n of range(20).slice(1)) await publish(n);
    const again = await connected(1, sleeper!.id);
    again.on('message', (_topic, payload) => sleeper!.came.push(payload.toString()));
    await eventually(() => assert.equal(total([sleeper!]), 20));
    assert.deepEqual(sorted([sleeper!]), range(20));
  });

  void test('a group ends with its last member', async () => {
    const all = await members('ends', 2, 1);
    await all[0]!.client.unsubscribeAsync('$share/ends/ends/+');
    await all[1]!.client.unsubscribeAsync('$share/ends/ends/+');
    await eventually(async () => {
      const id = await cluster.redis.command('hget', 'lmqtt:cluster:{reg}:groups', 'ends/ends/+');
      assert.equal(id.trim(), '');
    });
    const publish = await publisher('ends');
    await publish(1);
    // Its queue is there for a while; where that ends, the store says only now.
    await eventually(() => assert.ok(cluster.store.hasTold));
    await all[1]!.client.subscribeAsync('$share/ends/ends/+', { qos: 1 });
    await publish(2);
    await eventually(() => assert.ok(all[1]!.came.length > 0));
    assert.deepEqual(all[1]!.came, ['2']);
  });

  for (const which of ['owner', 'other'] as const)
    for (const clean of [false, true])
      void test(`QoS 2 once, QoS 1 at least once: the ${which} ds is killed, ${clean ? 'clean' : 'stored'} sessions`, async () => {
        const name = `kill-${which}-${clean ? 'clean' : 'stored'}`;
        const options = clean ? { clean: true, properties: { sessionExpiryInterval: 0 } } : {};
        const all = await members(name, 6, 2, options);
        const sent: Promise<void>[] = [];
        const owner = await ownerOf(name);
        const victim = which === 'owner' ? owner : cluster.ds.find((ds) => ds !== owner)!;
        const publish = await publisher(name, victim);
        for (const n of range(600)) {
          sent.push(publish(n, 2));
          if (n === 200) ending.push(victim.kill());
          await pause(2);
        }
        const began = performance.now();
        await Promise.all(sent);
        await eventually(() => assert.ok(new Set(all.flatMap((one) => one.came)).size === 600));
        const tookMs = performance.now() - began;
        await pause(500);
        assert.deepEqual(extra(all, 600), []);
        assert.ok(tookMs < 20_000, `${tookMs} ms`);
      });

  void test('QoS 2 once while the owner is cut off from Redis and comes back', async () => {
    const all = await members('cut', 6, 2);
    const owner = await ownerOf('cut');
    const publish = await publisher('cut', owner);
    const sent: Promise<void>[] = [];
    for (const n of range(1000)) {
      sent.push(publish(n, 2));
      if (n === 200) owner.way.partition();
      if (n === 900) owner.way.heal();
      await pause(10);
    }
    await Promise.all(sent);
    await eventually(() => assert.equal(new Set(all.flatMap((one) => one.came)).size, 1000));
    await pause(500);
    assert.deepEqual(extra(all, 1000), []);
    assert.notEqual(await ownerOf('cut'), owner);
  });

  void test('a session in two groups has a window for each', async () => {
    const [both] = await members('two', 1, 1, { properties: { receiveMaximum: 4 } });
    await both!.client.subscribeAsync('$share/more/more/+', { qos: 2 });
    const [alone] = await members('more', 1, 2);
    const [two, more] = await Promise.all([publisher('two'), publisher('more')]);
    await Promise.all(range(100).flatMap((n) => [two(n), more(1000 + n, 2)]));
    await eventually(() => assert.equal(total([both!, alone!]), 200));
    const ofMore = both!.came.filter((one) => Number(one) >= 1000);
    assert.equal(both!.came.length - ofMore.length, 100);
    assert.ok(ofMore.length > 10, `${ofMore.length} of the second`);
  });

  void test('QoS 2 once while Redis restarts', async () => {
    const all = await members('redis', 4, 2);
    const publish = await publisher('redis');
    const sent: Promise<void>[] = [];
    for (const n of range(400)) {
      sent.push(publish(n, 2));
      if (n === 150) {
        await cluster.redis.kill9();
        await cluster.redis.start();
      }
      await pause(2);
    }
    await Promise.all(sent);
    await eventually(() => assert.equal(new Set(all.flatMap((one) => one.came)).size, 400));
    await pause(300);
    assert.deepEqual(extra(all, 400), []);
  });
});

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

function total(all: readonly Member[]): number {
  return all.reduce((sum, { came }) => sum + came.length, 0);
}

function sorted(all: readonly Member[]): number[] {
  return all
    .flatMap(({ came }) => came)
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** What came more than once. */
function extra(all: readonly Member[], count: number): string[] {
  const times = range(count).map((n) =>
    all.flatMap(({ id, came }) => (came.includes(`${n}`) ? [id] : [])),
  );
  const twice = all.flatMap(({ id, came }) =>
    came.filter((one, at) => came.indexOf(one) < at).map((one) => `${id} ${one}`),
  );
  return [...twice, ...times.flatMap((ids, n) => (ids.length > 1 ? [`${n}: ${ids.join()}`] : []))];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries > 1200) throw error;
      await pause(25);
    }
  }
}
