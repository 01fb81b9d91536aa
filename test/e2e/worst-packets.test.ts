// The packets that cost a broker most: while one client's are worked on, another is served. What
// counts is how often it is answered meanwhile, not how soon, so that a busy machine breaks
// nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect, packet, pingreq, publish, subscribe, unsubscribe } from '../harness/packets.ts';
import { prefixed, varint } from '../harness/properties.ts';
import { isCluster } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

/** The largest packets that a setting lets a client send. */
const suite = new Suite({
  settings: { MAX_CONNECT_SIZE: '1m', MAX_SUBSCRIBE_SIZE: '1m' },
});
const patienceMs = 240_000;
const quotaExceeded = 0x97;

function list<T>(count: number, item: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

/** So many empty user properties, with their length. */
function userProperties(count: number): Buffer[] {
  return [varint(count * 5), Buffer.alloc(count * 5, Buffer.from([0x26, 0, 0, 0, 0]))];
}

/** Answers how many pings of another client were answered while the work was under way. */
async function pingsDuring(work: () => Promise<unknown>): Promise<number> {
  const other = await suite.client();
  let isDone = false;
  let pings = 0;
  const pinging = (async () => {
    while (!isDone) {
      await other.ping();
      pings += 1;
    }
  })();
  try {
    await work();
  } finally {
    isDone = true;
    await pinging;
  }
  other.destroy();
  return pings;
}

/** It waits for its own packets longer than a keep alive, and sends nothing meanwhile. */
const five = (): Promise<RawClient> => suite.client({ version: 5, keepAliveS: 0 });

void describe('one client does not stall the others', () => {
  // A group is an owner and records in Redis there.
  const long = isCluster ? 500 : 5000;
  // One portion of filters is one call to ds: a cluster has no turns between that others could use.
  const leastPings = isCluster ? 1 : 5;
  /** Filters that many sessions have, some with wildcards, some of groups. */
  const kinds: readonly (readonly [string, (index: number) => string])[] = [
    ['topics', (index) => `long/${index}`],
    ['wildcards', (index) => `long/+/${index}/#`],
    ['shared filters', (index) => `$share/g${index}/long/${index}`],
  ];
  for (const [name, filterOf] of kinds) {
    void test(`SUBSCRIBE and UNSUBSCRIBE of ${long} ${name}`, async () => {
      const client = await five();
      const filters = list(long, filterOf);
      const subscribing = await pingsDuring(async () => {
        client.send(subscribe({ version: 5, packetId: 1, filters }));
        await client.expect('suback', { packetId: 1, reasons: filters.map(() => 0) }, patienceMs);
      });
      assert.ok(subscribing >= leastPings, `${subscribing} pings meanwhile`);
      const unsubscribing = await pingsDuring(async () => {
        client.send(unsubscribe({ version: 5, packetId: 2, filters }));
        await client.expect('unsuback', { packetId: 2, reasons: filters.map(() => 0) }, patienceMs);
      });
      assert.ok(unsubscribing >= leastPings, `${unsubscribing} pings meanwhile`);
      await client.subscribe(filterOf(0));
      client.destroy();
    });
  }

  void test('one filter 200,000 times', async () => {
    const reasons = list(200_000, () => quotaExceeded);
    const filters = Buffer.alloc(4 * reasons.length, Buffer.from([0, 1, 0x61, 0]));
    const client = await five();
    client.send(packet('subscribe', 2, [Buffer.from([0, 7, 0]), filters]));
    const { reasons: given } = await client.expect('suback', { packetId: 7 }, patienceMs);
    assert.equal(given.length, reasons.length);
    assert.ok(given.every((reason) => reason === quotaExceeded));
    await client.ping();
  });

  void test('many SUBSCRIBEs of one filter in one chunk', async () => {
    const client = await five();
    const count = 5000;
    const pings = await pingsDuring(async () => {
      client.send(
        ...list(count, (i) => subscribe({ version: 5, packetId: 1 + i, filters: ['s'] })),
      );
      await client.find('suback', { packetId: count }, patienceMs);
    });
    assert.ok(pings >= 5, `${pings} pings meanwhile`);
  });

  const small: readonly (readonly [string, number, (index: number) => Buffer])[] = [
    ['PINGREQ', 1, () => pingreq()],
    ['PUBREL', 1, (index) => Buffer.from([0x62, 2, index >> 8, (index & 0xff) | 1])],
    ['QoS 0 messages', 1, () => publish({ version: 5, topic: 'a' })],
    ['topic after topic', 3, (index) => publish({ version: 5, topic: `a/${index}` })],
  ];
  for (const [name, least, bytes] of small) {
    void test(`many small packets in one chunk: ${name}`, async () => {
      const client = await five();
      const topic = unique();
      await client.subscribe(topic, 1);
      const pings = await pingsDuring(async () => {
        // The last one is not at QoS 0, which may be dropped behind so many.
        const last = publish({ version: 5, topic, qos: 1, packetId: 1 });
        client.send(...list(50_000, bytes), last);
        await client.find('publish', { topic }, patienceMs);
      });
      assert.ok(pings >= least, `${pings} pings meanwhile`);
      client.destroy();
    });
  }

  void test('CONNECT and PUBLISH with 200,000 user properties', async () => {
    const client = await suite.open();
    client.version = 5;
    const head = Buffer.from([...prefixed('MQTT'), 5, 2, 0, 0]);
    client.send(packet('connect', 0, [head, ...userProperties(200_000), prefixed(unique())]));
    await client.expect('connack', { reason: 0 }, patienceMs);
    const publisher = await five();
    const topic = unique();
    await client.subscribe(topic);
    publisher.send(packet('publish', 0, [prefixed(topic), ...userProperties(200_000)]));
    const message = await client.expect('publish', { topic }, patienceMs);
    assert.equal(message.properties.userProperties?.length, 200_000);
  });

  void test('a topic and filters of 65,535 levels', async () => {
    const topic = '/'.repeat(65_534);
    const client = await five();
    client.send(subscribe({ version: 5, packetId: 3, filters: list(15, () => topic) }));
    await client.expect('suback', { packetId: 3, reasons: list(15, () => 0x8f) }, patienceMs);
    client.sendPublish({ topic, qos: 1, packetId: 4 });
    await client.expect('puback', { packetId: 4, reason: 0x90 });
  });
});

test('filters that one topic matches: as many are granted as may overlap, in one delivery', async () => {
  const levels = 11;
  const topic = list(levels, () => 'o').join('/');
  const filters = list(2 ** levels, (index) => ({
    filter: list(levels, (level) => ((index >> level) & 1 ? '+' : 'o')).join('/'),
    qos: 1,
  }));
  const client = await five();
  client.send(subscribe({ version: 5, packetId: 1, filters }));
  const { reasons } = await client.expect('suback', { packetId: 1 }, patienceMs);
  assert.equal(reasons.filter((reason) => reason === 1).length, 256);
  assert.ok(reasons.every((reason) => reason === 1 || reason === quotaExceeded));
  const publisher = await five();
  for (let index = 0; index < 20; index += 1) {
    await publisher.publish(topic, String(index), { qos: 1 });
  }
  for (let index = 0; index < 20; index += 1) {
    await client.receive({ topic, payload: String(index) }, patienceMs);
  }
  await client.ping();
});

void describe('the end of a session with many subscriptions does not stall the others', () => {
  const filters = list(isCluster ? 500 : 5000, (index) => `ends/+/${index}`);
  type End = (client: RawClient, clientId: string) => Promise<unknown>;
  const ways: readonly (readonly [string, End])[] = [
    ['DISCONNECT', (client) => client.disconnect()],
    ['takeover', (_, clientId) => suite.client({ version: 5, clientId })],
  ];
  for (const [name, end] of ways) {
    void test(`${name}, and nothing of it is left`, async () => {
      const clientId = unique();
      const client = await suite.client({ version: 5, clientId });
      client.send(subscribe({ version: 5, packetId: 1, filters }));
      await client.expect('suback', { packetId: 1 }, patienceMs);
      await pingsDuring(() => end(client, clientId));
      const again = await suite.client({ version: 5, clientId });
      const publisher = await five();
      await again.subscribe('ends/x/1');
      await publisher.publish('ends/x/2', '', { qos: 1 });
      await publisher.publish('ends/x/1', '', { qos: 1 });
      await again.receive({ topic: 'ends/x/1' }, patienceMs);
    });
  }
});

void describe('a stored session with many subscriptions does not stall the others', () => {
  const filters = list(isCluster ? 500 : 10_000, (index) => `stored/+/${index}`);
  const least = isCluster ? 1 : 5;

  for (const before of ['is left', 'is taken over'] as const) {
    void test(`it ${before}, and comes back with all that it is owed`, async () => {
      const fields = {
        version: 5,
        clientId: unique(),
        clean: false,
        properties: { sessionExpiryInterval: 600 },
      } as const;
      const client = await suite.client(fields);
      for (let from = 0; from < filters.length; from += 1000) {
        client.send(
          subscribe({ version: 5, packetId: 1, filters: filters.slice(from, from + 1000) }),
        );
        await client.expect('suback', { packetId: 1 }, patienceMs);
      }
      const publisher = await five();
      if (before === 'is left') {
        await client.disconnect();
        for (const last of [0, filters.length - 1])
          await publisher.publish(`stored/x/${last}`, 'owed', { qos: 1 });
      }
      const again = await suite.open();
      again.version = 5;
      const pings = await pingsDuring(async () => {
        again.send(connect(fields));
        await again.expect('connack', { reason: 0, sessionPresent: true }, patienceMs);
      });
      assert.ok(pings >= least, `${pings} pings meanwhile`);
      if (before === 'is taken over') {
        for (const last of [0, filters.length - 1])
          await publisher.publish(`stored/x/${last}`, 'owed', { qos: 1 });
      }
      const topics = [];
      for (let count = 0; count < 2; count += 1)
        topics.push((await again.receive({ payload: 'owed' }, patienceMs)).topic);
      const wanted = [0, filters.length - 1].map((last) => `stored/x/${last}`);
      assert.deepEqual(topics.toSorted(), wanted.toSorted());
      await again.disconnect({ properties: { sessionExpiryInterval: 0 } });
    });
  }
});

test('what a client sends at once before it leaves is handled to its end', async () => {
  const count = 20_000;
  const topic = unique();
  const watcher = await suite.client({ version: 5 });
  await watcher.subscribe(`${topic}/last`, 1);
  const client = await suite.client();
  client.send(...list(count, () => publish({ topic, payload: 'x' })));
  client.send(publish({ topic: `${topic}/last`, payload: 'end', qos: 1 }), packet('disconnect', 0));
  client.stream.end();
  await watcher.receive({ topic: `${topic}/last`, payload: 'end' }, patienceMs);
});
