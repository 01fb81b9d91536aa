import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { matches } from '@lmqtt/common/topic';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { RedisRetainedStore } from '@lmqtt/ds/retained-store/redis/redis-retained-store';
import type { RetainedLimits } from '@lmqtt/ds/retained-store/redis/puts';
import { startRedisCluster } from '../harness/redis/redis-cluster.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { requireRedis } from '../harness/require.ts';
import { retainedStoreContract, type RetainedStoreUnderTest } from './retained-store.ts';

const limits = { messagesMax: 3, bytesMax: 1000 };

interface Around {
  readonly url: string;
  /** Ends as a power cut would, and comes back. */
  crash(): Promise<void>;
}

async function under(around: Around, keys: RedisKeys): Promise<RetainedStoreUnderTest> {
  const connection = await openRedis({ url: around.url });
  const store = await RedisRetainedStore.open(connection, keys, limits);
  return {
    store,
    async crash() {
      connection.close();
      await around.crash();
      return under(around, keys);
    },
    close() {
      connection.close();
      return Promise.resolve();
    },
  };
}

interface Started {
  readonly around: Around;
  close(): Promise<void>;
}

/** One Redis for a whole suite; each test has a cluster id, and so keys, of its own. */
function contractOver(name: string, start: () => Promise<Started>): void {
  let started: Promise<Started> | undefined;
  after(async () => (await started)?.close());
  retainedStoreContract(name, async () => {
    const { around } = await (started ??= start());
    return under(around, new RedisKeys(randomUUID()));
  });
}

async function single(options: RedisOptions = {}): Promise<Started> {
  const server = await startRedis(options);
  const crash = async (): Promise<void> => {
    await server.kill9();
    await server.start();
  };
  return { around: { url: server.url, crash }, close: () => server.close() };
}

async function cluster(): Promise<Started> {
  const servers = await startRedisCluster();
  const crash = async (): Promise<void> => {
    await Promise.all(servers.nodes.map((node) => node.kill9()));
    await Promise.all(servers.nodes.map((node) => node.start()));
    await servers.untilWhole();
  };
  return { around: { url: servers.url, crash }, close: () => servers.close() };
}

const needed = requireRedis();
if (needed.skip === false) {
  contractOver('redis', single);
  contractOver('redis cluster', cluster);
}

/** Stores of several nodes on one Redis. */
async function stores(
  t: TestContext,
  count: number,
  roomFor: RetainedLimits = { messagesMax: 1_000_000, bytesMax: 1_000_000_000 },
): Promise<{ redis: RedisServer; connections: RedisConnection[]; nodes: RedisRetainedStore[] }> {
  const redis = await startRedis();
  t.after(() => redis.close());
  const keys = new RedisKeys('test');
  const connections: RedisConnection[] = [];
  const nodes: RedisRetainedStore[] = [];
  for (let index = 0; index < count; index += 1) {
    const connection = await openRedis({ url: redis.url });
    t.after(() => connection.close());
    connections.push(connection);
    nodes.push(await RedisRetainedStore.open(connection, keys, roomFor));
  }
  return { redis, connections, nodes };
}

function put(
  store: RedisRetainedStore,
  topic: string,
  text: string,
  offset: number,
): Promise<number> {
  const message = messageOf({ topic, qos: 1, retain: true, payload: Buffer.from(text) });
  return new Promise((resolve) => {
    store.put(message, { placement: 0, offset }, resolve);
  });
}

async function topicsOf(
  store: RedisRetainedStore,
  filter: string,
  atOnce: number,
): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = await store.match(filter, after, atOnce, 1_000_000);
    found.push(...page.messages.map(({ topic }) => topic));
    after = page.next;
  }
  return found;
}

void test(
  'a filter finds in many topics what it matches, in the order of bytes',
  needed,
  async (t) => {
    const { nodes, connections } = await stores(t, 1);
    const store = nodes[0]!;
    const topics: string[] = [
      '$SYS/x',
      'sport',
      'sport/',
      'sport!',
      '\u{e000}/a',
      '\u{1f600}/a',
      '/',
    ];
    for (let site = 0; site < 40; site += 1) {
      for (let device = 0; device < 50; device += 1) {
        topics.push(`site-${site}/device-${device}/state`, `sport/${site}/${device}`);
      }
    }
    await Promise.all(topics.map((topic) => put(store, topic, 'x', 1)));
    assert.equal(store.count, topics.length);
    const inOrder = topics.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const filters = [
      ...['#', '+', '+/#', '/#', '/+', '+/a', 'sport/#', 'sport/+', 'sport/7/#', 'site-7/+/state'],
      ...[
        '+/device-7/state',
        '+/device-7/#',
        '+/+/state',
        'site-7/device-7/state',
        'none/#',
        '$SYS/#',
      ],
    ];
    for (const filter of filters) {
      const wanted = inOrder.filter((topic) => matches(filter, topic));
      assert.deepEqual(await topicsOf(store, filter, 7), wanted, filter);
      const before = connections[0]!.commandCount;
      assert.deepEqual(await topicsOf(store, filter, 1000), wanted, filter);
      t.diagnostic(
        `${filter}: ${wanted.length} in ${connections[0]!.commandCount - before} commands`,
      );
    }
  },
);

void test('two nodes see one and the same, and its limits', needed, async (t) => {
  const { nodes } = await stores(t, 2, { messagesMax: 2, bytesMax: 1000 });
  const [one, two] = [nodes[0]!, nodes[1]!];
  assert.equal(await put(one, 'a', 'one', 5), 0);
  assert.equal(await put(two, 'a', 'old', 4), 0);
  assert.equal(await put(two, 'b', 'x', 1), 0);
  const text = async (store: RedisRetainedStore, topic: string): Promise<string[]> =>
    (await store.match(topic, '', 1, 100)).messages.map(({ payload }) => payload.toString());
  assert.deepEqual(await text(two, 'a'), ['one']);
  // Full. One of them has never heard of the topic and lets it through; Redis knows.
  assert.equal(await put(one, 'c', 'x', 1), ReasonCode.quotaExceeded);
  assert.equal(await put(one, 'b', 'y', 2), 0);
  assert.deepEqual(await text(two, 'b'), ['y']);
  assert.equal(one.count, 2);
  const later = messageOf({ topic: 'a', qos: 0, retain: true, payload: Buffer.from('two') });
  two.put(later, undefined);
  assert.deepEqual(await text(two, 'a'), ['two']);
  assert.ok(later.orderKey!.offset > 5);
});

void test(
  'what expires gives its room back, and its version stays for a while',
  needed,
  async (t) => {
    const { nodes } = await stores(t, 1);
    const store = nodes[0]!;
    const orderKey = { placement: 3, offset: 9 };
    const expiresAtMs = Date.now() + 100;
    const payload = Buffer.from('x');
    await new Promise((resolve) => {
      store.put(
        messageOf({ topic: 'a', qos: 1, retain: true, payload, expiresAtMs }),
        orderKey,
        resolve,
      );
    });
    assert.equal(store.count, 1);
    await until(
      () => {
        store.sweep();
        return Promise.resolve(store.count === 0 && store.bytes === 0);
      },
      5000,
      'swept',
    );
    assert.equal((await store.version('a', orderKey))?.payload.toString(), 'x');
    assert.equal(await put(store, 'a', 'old', 10), 0);
    assert.deepEqual(await topicsOf(store, '#', 10), []);
  },
);

void test('a version that a node has pinned for long is known to all', needed, async (t) => {
  const { redis, nodes } = await stores(t, 2);
  const [one, two] = [nodes[0]!, nodes[1]!];
  await put(one, 'a', 'old', 1);
  const old = { placement: 0, offset: 1 };
  one.pin('a', old);
  one.pin('a', old);
  const pins = async (): Promise<number> =>
    Number(await redis.command('hlen', 'lmqtt:test:{ret}:pins'));
  const swept = (count: number): Promise<void> =>
    until(
      async () => {
        one.sweep();
        return (await pins()) === count;
      },
      5000,
      `${count} pins`,
    );
  await swept(1);
  await put(two, 'a', 'new', 2);
  const [, keptUntil] = (
    await redis.command('zrange', 'lmqtt:test:{ret}:kept', '0', '-1', 'withscores')
  ).split('\n');
  assert.ok(Number(keptUntil) > Date.now() + 24 * 3_600_000);
  assert.equal((await two.version('a', old))?.payload.toString(), 'old');
  one.unpin('a', old);
  one.unpin('a', old);
  await swept(0);
  const [, until1] = (
    await redis.command('zrange', 'lmqtt:test:{ret}:kept', '0', '-1', 'withscores')
  ).split('\n');
  assert.ok(Number(until1) < Date.now() + 61_000);
});

void test('puts while Redis restarts are done, and done once', needed, async (t) => {
  const { redis, nodes } = await stores(t, 1);
  const store = nodes[0]!;
  const answers: Promise<number>[] = [];
  for (let offset = 1; offset <= 300; offset += 1) {
    answers.push(put(store, `t/${offset % 10}`, String(offset), offset));
    if (offset === 150) {
      await redis.kill9();
      void redis.start();
    }
  }
  assert.deepEqual(new Set(await Promise.all(answers)), new Set([0]));
  const { messages } = await store.match('t/+', '', 100, 10_000);
  const texts = messages.map(({ payload }) => Number(payload.toString()));
  assert.deepEqual(
    texts.toSorted((a, b) => a - b),
    [291, 292, 293, 294, 295, 296, 297, 298, 299, 300],
  );
});
