import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawClient } from '../harness/wire.ts';
import { connected, unique } from '../harness/wire.ts';
import { Suite, together } from './v5.ts';

const suite = new Suite();

interface Group {
  readonly topic: string;
  readonly filter: string;
  readonly members: readonly RawClient[];
  readonly publisher: RawClient;
}

async function group(size: number, qos: 0 | 1 | 2, receiveMaximum = 100): Promise<Group> {
  const topic = unique();
  const filter = `$share/${unique('g')}/${topic}`;
  const members = await Promise.all(
    Array.from({ length: size }, () => suite.client({ properties: { receiveMaximum } })),
  );
  for (const member of members) await member.subscribe(filter, qos);
  return { topic, filter, members, publisher: await suite.client() };
}

interface Taken {
  readonly member: number;
  readonly payload: string;
  readonly qos: number;
}

/**
 * Messages that the members get, each acknowledged: reads until there are `count`, then to the end,
 * which is a message of its own for each member, so that a copy too many is seen too.
 */
async function collect(members: readonly RawClient[], count: number): Promise<Taken[]> {
  const taken: Taken[] = [];
  const markers = members.map(() => unique('marker'));
  for (const [index, member] of members.entries()) await member.subscribe(markers[index] ?? '');
  let enough = (): void => {};
  const reached = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const reading = members.map(async (client, member) => {
    for (;;) {
      const message = await client.find('publish');
      if (message.topic === markers[member]) return;
      taken.push({ member, payload: message.payload.toString(), qos: message.qos });
      if (message.qos === 1) client.sendAck('puback', message.packetId);
      if (message.qos === 2) {
        client.sendAck('pubrec', message.packetId);
        await client.find('pubrel', { packetId: message.packetId });
        client.sendAck('pubcomp', message.packetId);
      }
      if (taken.length >= count) enough();
    }
  });
  await Promise.race([reached, Promise.all(reading)]);
  const publisher = await suite.client();
  for (const marker of markers) await publisher.publish(marker, '', { qos: 1 });
  await Promise.all(reading);
  return taken;
}

const numbers = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${index}`);
const sorted = (taken: readonly Taken[]): string[] =>
  taken.map(({ payload }) => payload).toSorted((a, b) => Number(a) - Number(b));
const membersOf = (taken: readonly Taken[]): number =>
  new Set(taken.map(({ member }) => member)).size;

describe('MQTT 5 shared subscriptions', together, () => {
  for (const qos of [0, 1, 2] as const) {
    test(`[MQTT-4.8.2-1] [MQTT-4.8.2-2] [MQTT-4.8.2-3] each message at QoS ${qos} goes to one member`, async () => {
      const { topic, members, publisher } = await group(3, qos);
      const sent = numbers(60);
      for (const payload of sent) await publisher.publish(topic, payload, { qos });
      const taken = await collect(members, sent.length);
      assert.deepEqual(sorted(taken), sent);
      // Messages in flight balance the members; at QoS 0 there are none.
      if (qos > 0) assert.equal(membersOf(taken), 3);
    });
  }

  test('[MQTT-4.8.2-3] the QoS granted to each member holds', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const members = [await suite.client(), await suite.client(), await suite.client()];
    for (const [qos, member] of members.entries()) await member.subscribe(filter, qos as 0 | 1 | 2);
    const publisher = await suite.client();
    const sent = numbers(30);
    for (const payload of sent) await publisher.publish(topic, payload, { qos: 2 });
    const taken = await collect(members, sent.length);
    assert.deepEqual(sorted(taken), sent);
    for (const { member, qos } of taken) assert.equal(qos, member);
  });

  test('[MQTT-4.8.2-1] groups are apart from each other and from the plain subscription', async () => {
    const topic = unique();
    const [one, two, plain, both] = [
      await suite.client(),
      await suite.client(),
      await suite.client(),
      await suite.client(),
    ];
    const [a, b, c] = [unique('g'), unique('g'), unique('g')];
    await one.subscribe(`$share/${a}/${topic}`, 1);
    await two.subscribe(`$share/${b}/${topic}`, 1);
    await plain.subscribe(topic, 1);
    await both.subscribe([`$share/${c}/${topic}`, topic], 1);
    const publisher = await suite.client();
    await publisher.publish(topic, 'x', { qos: 1 });
    for (const client of [one, two, plain]) await client.receive({ topic });
    await both.receive({ topic });
    await both.receive({ topic });
    for (const client of [one, two, plain, both]) await suite.nothingElse(client);
  });

  test('[MQTT-4.8.2-1] filters with wildcards are shared too, and $ stays apart', async () => {
    const stem = unique();
    const [one, two] = [await suite.client(), await suite.client()];
    const filter = `$share/${unique('g')}/${stem}/+/x/#`;
    for (const member of [one, two]) await member.subscribe(filter, 1);
    const publisher = await suite.client();
    const topics = ['a/x', 'b/x/y', 'c/x/y/z', '/x'].map((rest) => `${stem}/${rest}`);
    for (const topic of topics) await publisher.publish(topic, topic, { qos: 1 });
    await publisher.publish(`${stem}/a/y`, 'no', { qos: 1 });
    const taken = await collect([one, two], topics.length);
    assert.deepEqual(taken.map(({ payload }) => payload).toSorted(), topics.toSorted());
  });

  test('[MQTT-3.3.1-9] a shared subscription gets no retained messages when it is made', async () => {
    const topic = unique();
    const publisher = await suite.client();
    await publisher.publish(topic, 'retained', { qos: 1, retain: true });
    const client = await suite.client();
    await client.subscribe(`$share/${unique('g')}/${topic}`, 1);
    await suite.nothingElse(client);
  });

  test('[MQTT-3.3.4-3] the identifier of the member comes with its message', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const [one, two] = [await suite.client(), await suite.client()];
    const publisher = await suite.client();
    for (const [member, id] of [
      [one, 7],
      [two, 8],
    ] as const) {
      await member.subscribe(filter, 1, { properties: { subscriptionIdentifier: id } });
      await publisher.publish(topic, 'x', { qos: 1 });
      const message = await member.receive({ topic });
      assert.deepEqual(message.properties.subscriptionIdentifiers, [id]);
      await member.unsubscribe(filter);
    }
  });

  test('[MQTT-3.10.4-1] a member that unsubscribes or leaves gets nothing, the others get all', async () => {
    const { topic, filter, members, publisher } = await group(3, 1);
    const [one, two, three] = members;
    assert.ok(one && two && three);
    const { reasons } = await one.unsubscribe(filter);
    assert.deepEqual(reasons, [0]);
    await two.disconnect();
    const sent = Array.from({ length: 10 }, (_, index) => `${index}`);
    for (const payload of sent) await publisher.publish(topic, payload, { qos: 1 });
    for (const payload of sent) await three.receive({ topic, payload });
    await suite.nothingElse(one);
  });

  test('[MQTT-4.8.2-1] a QoS 1 message that a member did not acknowledge goes to another when its session ends', async () => {
    const { topic, filter, members, publisher } = await group(1, 1);
    const [first] = members;
    assert.ok(first);
    await publisher.publish(topic, 'taken', { qos: 1 });
    await first.expect('publish', { topic, payload: 'taken' });
    const second = await suite.client();
    await second.subscribe(filter, 1);
    await first.disconnect();
    await second.receive({ topic, payload: 'taken' });
    await suite.nothingElse(second);
  });

  test('[MQTT-4.8.2-4] a QoS 2 delivery that began is completed with its member after it comes back', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const member = await suite.client({ clientId, properties });
    await member.subscribe(filter, 2);
    const publisher = await suite.client();
    await publisher.publish(topic, 'mine', { qos: 2 });
    const message = await member.expect('publish', { payload: 'mine', qos: 2 });
    const other = await suite.client();
    await other.subscribe(filter, 2);
    member.destroy();
    await publisher.publish(topic, 'next', { qos: 2 });
    await other.receive({ payload: 'next' });
    await suite.nothingElse(other);
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await back.receive({ payload: 'mine', packetId: message.packetId, dup: true, qos: 2 });
    await suite.nothingElse(other);
  });

  test('[MQTT-4.8.2-5] a QoS 2 message of a member whose session ended goes to no other', async () => {
    const { topic, filter, members, publisher } = await group(1, 2);
    const [first] = members;
    assert.ok(first);
    await publisher.publish(topic, 'lost with its session', { qos: 2 });
    await first.expect('publish', { topic, qos: 2 });
    const second = await suite.client();
    await second.subscribe(filter, 2);
    await first.disconnect();
    await publisher.publish(topic, 'next', { qos: 2 });
    await second.receive({ topic, payload: 'next' });
    await suite.nothingElse(second);
  });

  test('[MQTT-4.8.2-6] [MQTT-4.4.0-2] an error acknowledgement is final: no other member gets the message', async () => {
    for (const [qos, ack] of [
      [1, 'puback'],
      [2, 'pubrec'],
    ] as const) {
      const { topic, members, publisher } = await group(2, qos);
      await publisher.publish(topic, 'refused', { qos });
      const taken = await Promise.race(
        members.map(async (member) => ({
          member,
          message: await member.find('publish', { topic }),
        })),
      );
      taken.member.sendAck(ack, taken.message.packetId, { reason: 0x80 });
      await taken.member.ping();
      for (const member of members) await suite.nothingElse(member);
    }
  });

  test('[MQTT-3.3.4-9] a member with a full window leaves messages to the others', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const narrow = await suite.client({ properties: { receiveMaximum: 1 } });
    const wide = await suite.client();
    for (const member of [narrow, wide]) await member.subscribe(filter, 1);
    const publisher = await suite.client();
    const count = 20;
    for (let index = 0; index < count; index += 1)
      await publisher.publish(topic, `${index}`, { qos: 1 });
    const seen = new Set<string>();
    while (seen.size < count - 1) seen.add((await wide.receive({ topic })).payload.toString());
    const stuck = await narrow.expect('publish', { topic });
    seen.add(stuck.payload.toString());
    assert.equal(seen.size, count);
    await suite.nothingElse(narrow);
  });

  test('[MQTT-4.8.2-1] messages wait for the last member when its session is kept', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const member = await suite.client({ clientId, properties });
    await member.subscribe(filter, 1);
    await member.disconnect();
    const publisher = await suite.client();
    for (const payload of ['a', 'b']) await publisher.publish(topic, payload, { qos: 1 });
    const back = await suite.client({ clientId, clean: false, sessionPresent: true, properties });
    await back.receive({ payload: 'a' });
    await back.receive({ payload: 'b' });
    await suite.nothingElse(back);
  });

  test('[MQTT-4.8.2-1] a 3.1.1 client is a member like others', async () => {
    const topic = unique();
    const filter = `$share/${unique('g')}/${topic}`;
    const old = await connected(suite.broker.mqttPort, { version: 4 });
    const young = await suite.client();
    await old.subscribe(filter, 1);
    await young.subscribe(filter, 1);
    const publisher = await suite.client();
    const sent = numbers(20);
    for (const payload of sent) await publisher.publish(topic, payload, { qos: 1 });
    const taken = await collect([old, young], sent.length);
    assert.deepEqual(sorted(taken), sent);
    assert.equal(membersOf(taken), 2);
  });
});
