// Shared subscriptions whose members are at two connection nodes: each message goes to one of them,
// wherever, and no member gets more than its window.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ClusterSuite } from '../harness/cluster-suite.ts';
import type { Publish } from '../harness/parser.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const suite = new ClusterSuite();
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;
const deadlineMs = 60_000;

interface Group {
  readonly topic: string;
  readonly filter: string;
}

function group(): Group {
  const topic = unique();
  return { topic, filter: `$share/${unique('g')}/${topic}` };
}

async function acknowledge(member: RawClient, { qos, packetId }: Publish): Promise<void> {
  if (qos === 1) member.sendAck('puback', packetId);
  if (qos !== 2) return;
  member.sendAck('pubrec', packetId);
  await member.find('pubrel', { packetId });
  member.sendAck('pubcomp', packetId);
}

/** Takes and acknowledges what comes, until there are `count` over all members. */
class Collection {
  readonly payloads: string[] = [];
  readonly byMember: number[];

  constructor(members: readonly RawClient[]) {
    this.byMember = members.map(() => 0);
    for (const [index, member] of members.entries()) {
      void this.#take(member, index).catch(() => undefined);
    }
  }

  async #take(member: RawClient, index: number): Promise<void> {
    for (;;) {
      const message = await member.find('publish', {}, deadlineMs);
      this.payloads.push(message.payload.toString());
      this.byMember[index] = (this.byMember[index] ?? 0) + 1;
      await acknowledge(member, message);
    }
  }

  /** All of these, once each. */
  async holds(wanted: readonly string[]): Promise<void> {
    const endMs = performance.now() + deadlineMs;
    while (this.payloads.length < wanted.length) {
      const missing = wanted.filter((payload) => !this.payloads.includes(payload));
      assert.ok(performance.now() < endMs, `missing: ${missing.slice(0, 20).join()}`);
      await delay(10);
    }
    // A copy too many comes right behind.
    await delay(100);
    assert.deepEqual([...this.payloads].sort(), [...wanted].sort());
  }
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => String(number));
}

void describe('members at both nodes', () => {
  for (const qos of [1, 2] as const) {
    void test(`all messages, once each, to all members: QoS ${qos}`, async () => {
      const { topic, filter } = group();
      const members = await Promise.all(
        [1, 2, 1, 2].map((node) => suite.at(node, { properties: { receiveMaximum: 10 } })),
      );
      for (const member of members) await member.subscribe(filter, qos);
      const collection = new Collection(members);
      const publishers = [await suite.at(1), await suite.at(2)];
      const wanted = numbers(600);
      await Promise.all(
        publishers.map(async (publisher, index) => {
          for (const payload of wanted) {
            if (Number(payload) % 2 === index) await publisher.publish(topic, payload, { qos });
          }
        }),
      );
      await collection.holds(wanted);
      for (const count of collection.byMember) assert.ok(count > 30, collection.byMember.join());
    });

    void test(`a full window gets no more, the other node does: QoS ${qos}`, async () => {
      const { topic, filter } = group();
      const small = await suite.at(1, { properties: { receiveMaximum: 3 } });
      const large = await suite.at(2, { properties: { receiveMaximum: 200 } });
      for (const member of [small, large]) await member.subscribe(filter, qos);
      const publisher = await suite.at(1);
      const wanted = numbers(100);
      for (const payload of wanted) await publisher.publish(topic, payload, { qos });
      const held: Publish[] = [];
      for (let count = 0; count < 3; count += 1) held.push(await small.expect('publish'));
      const came = held.map(({ payload }) => String(payload));
      for (let count = 0; count < 97; count += 1) {
        came.push(String((await large.expect('publish')).payload));
      }
      assert.deepEqual(came.sort(), wanted.sort());
      await small.expectNothing();
      for (const message of held) await acknowledge(small, message);
      // It has the least in flight now.
      for (const payload of ['x', 'y', 'z']) {
        await publisher.publish(topic, payload, { qos });
        await small.receive({ payload });
      }
      await large.expectNothing();
    });
  }

  void test('both are full: what is left waits, and goes on with the first room', async () => {
    const { topic, filter } = group();
    const members = await Promise.all(
      [1, 2].map((node) => suite.at(node, { properties: { receiveMaximum: 2 } })),
    );
    for (const member of members) await member.subscribe(filter, 1);
    const publisher = await suite.at(2);
    const wanted = numbers(50);
    for (const payload of wanted) await publisher.publish(topic, payload, { qos: 1 });
    for (const member of members) await member.find('publish');
    const firsts = await Promise.all(members.map((member) => member.find('publish')));
    for (const member of members) await member.expectNothing(50);
    for (const [index, member] of members.entries()) {
      const message = firsts[index];
      assert.ok(message !== undefined);
      member.sendAck('puback', message.packetId);
      member.sendAck('puback', message.packetId - 1);
    }
    const collection = new Collection(members);
    const endMs = performance.now() + deadlineMs;
    while (collection.payloads.length < wanted.length - 4) {
      assert.ok(performance.now() < endMs, `${collection.payloads.length} came`);
      await delay(10);
    }
    assert.equal(new Set(collection.payloads).size, wanted.length - 4);
  });

  void test('of a member that is gone, QoS 1 goes to one at the other node', async () => {
    const { topic, filter } = group();
    const leaver = await suite.at(1, { properties: { receiveMaximum: 5 } });
    await leaver.subscribe(filter, 1);
    const publisher = await suite.at(2);
    const wanted = numbers(20);
    for (const payload of wanted) await publisher.publish(topic, payload, { qos: 1 });
    for (let count = 0; count < 5; count += 1) await leaver.expect('publish');
    const stays = await suite.at(2);
    await stays.subscribe(filter, 1);
    const collection = new Collection([stays]);
    leaver.destroy();
    await collection.holds(wanted);
  });

  void test('a member that goes to the other node keeps what it has, under its ids', async () => {
    const { topic, filter } = group();
    const fields = { ...lasting, clientId: unique() };
    const first = await suite.at(1, fields);
    await first.subscribe(filter, 2);
    const publisher = await suite.at(2);
    for (const payload of ['a', 'b']) await publisher.publish(topic, payload, { qos: 2 });
    const a = await first.expect('publish', { payload: 'a' });
    const b = await first.expect('publish', { payload: 'b' });
    first.sendAck('pubrec', b.packetId);
    await first.expect('pubrel', { packetId: b.packetId });
    const second = await suite.at(2, { ...fields, sessionPresent: true });
    await second.find('publish', { payload: 'a', packetId: a.packetId, dup: true });
    await second.find('pubrel', { packetId: b.packetId });
    second.sendAck('pubcomp', b.packetId);
    second.sendAck('pubrec', a.packetId);
    await second.find('pubrel', { packetId: a.packetId });
    second.sendAck('pubcomp', a.packetId);
    await publisher.publish(topic, 'next', { qos: 2 });
    await second.receive({ payload: 'next' });
    await second.expectNothing();
  });

  void test('an ordinary subscription beside it, at the other node, gets everything', async () => {
    const { topic, filter } = group();
    const [member, ordinary] = [await suite.at(1), await suite.at(2)];
    await member.subscribe(filter, 1);
    await ordinary.subscribe(topic, 1);
    const publisher = await suite.at(2);
    for (const payload of numbers(20)) {
      await publisher.publish(topic, payload, { qos: 1 });
      await member.receive({ payload });
      await ordinary.receive({ payload });
    }
  });
});
