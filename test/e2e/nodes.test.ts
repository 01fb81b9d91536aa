// Clients of two connection nodes behave as if they were at one: what they publish, subscribe to
// and leave behind, and sessions that go from one node to the other.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClusterSuite, type ComeFields } from '../harness/cluster-suite.ts';
import { connectRaw, type RawClient, unique } from '../harness/wire.ts';

const suite = new ClusterSuite();
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

/** Both ways round: what holds from cs-1 to cs-2 holds back. */
const ways = [
  [1, 2],
  [2, 1],
] as const;

void describe('messages', () => {
  for (const [from, to] of ways) {
    void test(`cs-${from} to cs-${to}: each QoS, as the subscription has it`, async () => {
      const topic = unique();
      const subscriber = await suite.at(to);
      await subscriber.subscribe([{ filter: topic, qos: 2 }], 2);
      const less = await suite.at(to, { version: 4 });
      await less.subscribe(topic, 1);
      const publisher = await suite.at(from);
      for (const qos of [0, 1, 2] as const) {
        const properties = { userProperties: [['k', `v${qos}`]], contentType: 'text' } as const;
        await publisher.publish(topic, `at ${qos}`, { qos, properties });
        const { properties: come } = await subscriber.receive({ payload: `at ${qos}`, qos });
        assert.deepEqual(come.userProperties, properties.userProperties);
        assert.equal(come.contentType, 'text');
        await less.receive({ payload: `at ${qos}`, qos: qos === 2 ? 1 : qos });
      }
    });
  }

  void test('what is published after SUBACK comes, wherever the other is', async () => {
    const [one, two] = [await suite.at(1), await suite.at(2)];
    const stem = unique();
    for (let number = 0; number < 100; number += 1) {
      const [from, to] = number % 2 === 0 ? [one, two] : [two, one];
      await to.subscribe(`${stem}/${number}`, 1);
      await from.publish(`${stem}/${number}`, String(number), { qos: 1 });
      await to.receive({ payload: String(number) });
    }
    await two.unsubscribe(`${stem}/0`);
    await one.publish(`${stem}/0`, 'nobody', { qos: 1 });
    await one.publish(`${stem}/2`, 'marker', { qos: 1 });
    await two.receive({ payload: 'marker' });
  });

  for (const [qos, count] of [
    [0, 3000],
    [1, 3000],
    [2, 500],
  ] as const) {
    void test(`order of one publisher to a subscriber elsewhere, QoS ${qos}`, async () => {
      const topic = unique();
      const subscriber = await suite.at(2);
      await subscriber.subscribe(topic, qos);
      const publisher = await suite.at(1, { properties: { receiveMaximum: 100 } });
      const sends = sendAll(publisher, topic, qos, count);
      for (let number = 0; number < count; number += 1) {
        await subscriber.receive({ payload: String(number) });
      }
      await sends;
      await subscriber.expectNothing();
    });
  }

  void test('overlapping subscriptions: once, the highest QoS, all identifiers', async () => {
    const topic = unique();
    const subscriber = await suite.at(2);
    for (const [filter, qos, identifier] of [
      [`${topic}/#`, 0, 1],
      [`${topic}/+`, 2, 2],
      [`${topic}/a`, 1, 3],
    ] as const) {
      await subscriber.subscribe(filter, qos, {
        properties: { subscriptionIdentifiers: [identifier] },
      });
    }
    const publisher = await suite.at(1);
    for (let number = 0; number < 50; number += 1) {
      const payload = String(number);
      await publisher.publish(`${topic}/a`, payload, { qos: 2 });
      const { properties } = await subscriber.receive({ payload, qos: 2 });
      assert.deepEqual(new Set(properties.subscriptionIdentifiers), new Set([1, 2, 3]));
    }
    await subscriber.expectNothing();
  });

  void test('no local: never what the client itself sent, wherever it did', async () => {
    const topic = unique();
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    await first.subscribe([{ filter: topic, qos: 1, noLocal: true }], 1);
    const other = await suite.at(2);
    await first.publish(topic, 'own', { qos: 1 });
    await other.publish(topic, 'of another', { qos: 1 });
    await first.receive({ payload: 'of another' });
    const second = await suite.at(2, { ...fields, sessionPresent: true });
    await second.publish(topic, 'own again', { qos: 1 });
    await other.publish(topic, 'again', { qos: 1 });
    await second.receive({ payload: 'again' });
  });

  void test('retained messages are those of both nodes', async () => {
    const topic = unique();
    const [one, two] = [await suite.at(1), await suite.at(2)];
    await one.publish(`${topic}/a`, 'old', { qos: 1, retain: true });
    await two.publish(`${topic}/a`, 'new', { qos: 1, retain: true });
    await two.publish(`${topic}/b`, 'gone', { qos: 2, retain: true });
    await one.publish(`${topic}/b`, '', { qos: 1, retain: true });
    for (const node of [1, 2]) {
      const reader = await suite.at(node);
      await reader.subscribe(`${topic}/+`, 2);
      await reader.receive({ topic: `${topic}/a`, payload: 'new', retain: true });
      await reader.expectNothing();
    }
  });
});

/** A publisher with a full window; each answer makes room for the next. */
async function sendAll(
  publisher: RawClient,
  topic: string,
  qos: 0 | 1 | 2,
  count: number,
): Promise<void> {
  const window = 50;
  let acknowledged = 0;
  for (let number = 0; number < count; number += 1) {
    const fields = { topic, payload: String(number), qos };
    publisher.sendPublish(qos === 0 ? fields : { ...fields, packetId: number + 1 });
    while (qos > 0 && number - acknowledged >= window) {
      await acknowledge(publisher, qos);
      acknowledged += 1;
    }
  }
  while (qos > 0 && acknowledged < count) {
    await acknowledge(publisher, qos);
    acknowledged += 1;
  }
}

async function acknowledge(publisher: RawClient, qos: number): Promise<void> {
  if (qos === 1) {
    await publisher.find('puback', { reason: 0 });
    return;
  }
  const { packetId } = await publisher.find('pubrec', { reason: 0 });
  publisher.sendAck('pubrel', packetId);
  await publisher.find('pubcomp', { packetId });
}

void describe('sessions', () => {
  for (const version of [4, 5] as const) {
    void test(`taken over by a client at the other node, version ${version}`, async () => {
      const topic = unique();
      const fields: ComeFields = { ...(version === 5 ? lasting : { clean: false }), version };
      const come = (node: number, present: boolean): Promise<RawClient> =>
        suite.at(node, { ...fields, clientId: topic, sessionPresent: present });
      const publisher = await suite.at(1);
      let client = await come(1, false);
      await client.subscribe(topic, 2);
      for (let number = 0; number < 10; number += 1) {
        await publisher.publish(topic, `${number} in flight`, { qos: 1 });
        const { packetId } = await client.expect('publish', { payload: `${number} in flight` });
        const before = client;
        client = await come(number % 2 === 0 ? 2 : 1, true);
        if (version === 5) await before.expectDisconnect(0x8e);
        else await before.expectClose();
        await client.receive({ payload: `${number} in flight`, packetId, dup: true });
        await publisher.publish(topic, `${number} live`, { qos: 2 });
        await client.receive({ payload: `${number} live` });
      }
      await client.expectNothing();
    });
  }

  void test('taken over with clean start: nothing of it is left', async () => {
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    await first.subscribe(fields.clientId, 1);
    const second = await suite.at(2, { ...fields, clean: true, sessionPresent: false });
    await first.expectDisconnect(0x8e);
    await second.publish(fields.clientId, 'nobody', { qos: 1 });
    await second.expectNothing();
  });

  void test('many clients that fight for one client id: the last one has it', async () => {
    const clientId = unique();
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const client = await suite.at((index % 2) + 1, { ...lasting, clientId });
        return client;
      }),
    );
    const last = await suite.at(1, { ...lasting, clientId, sessionPresent: true });
    for (const client of all) await client.expectDisconnect(0x8e);
    await last.ping();
  });

  void test('what is in flight goes on at the other node, under its identifiers', async () => {
    const topic = unique();
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    await first.subscribe(topic, 2);
    const publisher = await suite.at(2);
    const publishes = [];
    for (const [payload, qos] of [
      ['a', 1],
      ['b', 2],
      ['c', 2],
      ['d', 1],
    ] as const) {
      await publisher.publish(topic, payload, { qos });
      publishes.push(await first.expect('publish', { payload, dup: false }));
    }
    const [a = 0, b = 0, c = 0, d = 0] = publishes.map(({ packetId }) => packetId);
    first.sendAck('pubrec', c);
    await first.expect('pubrel', { packetId: c });
    first.sendAck('puback', d);
    await first.ping();
    await publisher.publish(topic, 'later', { qos: 1 });
    await first.expect('publish', { payload: 'later' });
    first.destroy();

    const second = await suite.at(2, { ...fields, sessionPresent: true });
    await second.find('publish', { payload: 'a', packetId: a, dup: true });
    await second.find('publish', { payload: 'b', packetId: b, dup: true });
    await second.find('pubrel', { packetId: c });
    await second.find('publish', { payload: 'later', dup: true });
    await second.expectNothing();
    second.sendAck('puback', a);
    second.sendAck('pubrec', b);
    await second.expect('pubrel', { packetId: b });
    second.destroy();

    const third = await suite.at(1, { ...fields, sessionPresent: true });
    await third.find('pubrel', { packetId: b });
    await third.find('pubrel', { packetId: c });
    await third.find('publish', { payload: 'later', dup: true });
    for (const packetId of [b, c]) third.sendAck('pubcomp', packetId);
    await third.expectNothing();
  });

  void test('a QoS 2 publish that began at one node ends at the other, once', async () => {
    const topic = unique();
    const watcher = await suite.at(1);
    await watcher.subscribe(topic, 2);
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    first.sendPublish({ topic, qos: 2, packetId: 7, payload: 'once' });
    await first.expect('pubrec', { packetId: 7, reason: 0 });
    const second = await suite.at(2, { ...fields, sessionPresent: true });
    second.sendPublish({ topic, qos: 2, packetId: 7, dup: true, payload: 'once' });
    await second.expect('pubrec', { packetId: 7 });
    second.sendAck('pubrel', 7);
    await second.expect('pubcomp', { packetId: 7 });
    const third = await suite.at(1, { ...fields, sessionPresent: true });
    await third.publish(topic, 'new', { qos: 2, packetId: 7 });
    await watcher.receive({ payload: 'once' });
    await watcher.receive({ payload: 'new' });
  });

  void test('what waits for an absent session comes at whatever node it comes back to', async () => {
    const topic = unique();
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    await first.subscribe(topic, 1);
    await first.disconnect();
    const publisher = await suite.at(1);
    for (let number = 0; number < 300; number += 1) {
      await publisher.publish(topic, String(number), { qos: 1 });
    }
    const second = await suite.at(2, { ...fields, sessionPresent: true });
    for (let number = 0; number < 300; number += 1) {
      await second.receive({ payload: String(number) });
    }
    await second.expectNothing();
  });
});

void describe('wills', () => {
  for (const [of, to] of ways) {
    void test(`of a client at cs-${of} for a watcher at cs-${to}`, async () => {
      const topic = unique();
      const watcher = await suite.at(to);
      await watcher.subscribe(topic, 1);
      const will = { topic, payload: 'gone', qos: 1 };
      (await suite.at(of, { will })).destroy();
      await watcher.receive({ payload: 'gone' });
      await (await suite.at(of, { will })).disconnect();
      await (await suite.at(of)).publish(topic, 'marker', { qos: 1 });
      await watcher.receive({ payload: 'marker' });
    });
  }

  void test('not with a delay, where the client is back at the other node by then', async () => {
    const topic = unique();
    const watcher = await suite.at(1);
    await watcher.subscribe(topic, 1);
    const properties = { willDelayInterval: 2 };
    const will = { topic, payload: 'delayed', qos: 1, properties };
    const fields = { ...lasting, clientId: unique(), will };
    (await suite.at(1, fields)).destroy();
    const back = await suite.at(2, { ...fields, sessionPresent: true });
    await watcher.expectNothing(2500);
    back.destroy();
    await watcher.receive({ payload: 'delayed' });
  });

  void test('at once, where the client is taken over from the other node', async () => {
    const topic = unique();
    const watcher = await suite.at(2);
    await watcher.subscribe(topic, 1);
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, { ...fields, will: { topic, payload: 'old', qos: 1 } });
    const second = await suite.at(2, fields);
    await first.expectDisconnect(0x8e);
    await watcher.receive({ payload: 'old' });
    await second.disconnect();
  });
});

void test('ids that the nodes give are of one client each', async () => {
  const ids = new Set<string>();
  for (let number = 0; number < 20; number += 1) {
    const client = await connectRaw(suite.port((number % 2) + 1), { version: 5 });
    const { properties } = await client.connect({ clientId: '' });
    ids.add(properties.assignedClientIdentifier ?? '');
  }
  assert.equal(ids.size, 20);
});
