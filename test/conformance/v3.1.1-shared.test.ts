// Shared subscriptions of 3.1.1 clients: $share/{group}/{filter}, as in MQTT 5, 4.8.2.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();

/** Takes `count` messages from whichever client has them; acknowledges QoS 1. */
async function takeAll(clients: readonly RawClient[], count: number): Promise<string[][]> {
  const taken = clients.map((): string[] => []);
  let left = count;
  await Promise.all(
    clients.map(async (client, index) => {
      while (left > 0) {
        const message = await client.find('publish', {}, 100).catch(() => undefined);
        if (!message) continue;
        left -= 1;
        taken[index]?.push(message.payload.toString());
        if (message.qos === 1) client.sendAck('puback', message.packetId);
      }
    }),
  );
  return taken;
}

test('each message goes to one member of a group, and to every group', async () => {
  const topic = unique();
  const group = unique('g');
  const members = [await suite.client(), await suite.client(), await suite.client()];
  for (const member of members) await member.subscribe(`$share/${group}/${topic}/+`, 1);
  const other = await suite.client();
  await other.subscribe(`$share/${group}-other/${topic}/#`, 1);
  const plain = await suite.client();
  await plain.subscribe(`${topic}/#`, 1);
  const publisher = await suite.client();
  const sent = Array.from({ length: 60 }, (_, index) => `${index}`);
  for (const payload of sent) await publisher.publish(`${topic}/a`, payload, { qos: 1 });
  const [alone] = await takeAll([other], 60);
  assert.deepEqual(alone, sent);
  const [all] = await takeAll([plain], 60);
  assert.deepEqual(all, sent);
  const taken = await takeAll(members, 60);
  assert.deepEqual(
    taken.flat().sort((a, b) => Number(a) - Number(b)),
    sent,
  );
  for (const client of [...members, other, plain]) await client.expectNothing();
});

test('a member that is also subscribed by itself gets both', async () => {
  const topic = unique();
  const client = await suite.client();
  await client.subscribe([`$share/${unique('g')}/${topic}`, topic], 1);
  await client.publish(topic, 'x', { qos: 1 });
  await client.receive({ topic, payload: 'x' });
  await client.receive({ topic, payload: 'x' });
  await client.expectNothing();
});

const badShared = ['$share/g', '$share/g/', '$share//a', '$share/g+/a', '$share/g/a/#/b'];

test('a malformed shared filter among good ones fails alone', async () => {
  for (const version of [3, 4] as const) {
    for (const bad of badShared) {
      const client = await suite.client({ version });
      const [one, other] = [unique(), unique()];
      await client.subscribe([one, bad, other], 1, { reasons: [1, 0x80, 1] });
      for (const topic of [one, other]) {
        await client.publish(topic, 'x', { qos: 1 });
        await client.receive({ topic });
      }
      await client.unsubscribe(one, bad, other);
      await client.expectNothing();
      client.destroy();
    }
  }
});

test('what a member had not acknowledged when it was lost goes to another', async () => {
  const topic = unique();
  const filter = `$share/${unique('g')}/${topic}`;
  const first = await suite.client();
  await first.subscribe(filter, 1);
  const publisher = await suite.client();
  for (const payload of ['a', 'b']) {
    await publisher.publish(topic, payload, { qos: 1 });
    await first.expect('publish', { payload });
  }
  const second = await suite.client();
  await second.subscribe(filter, 1);
  first.destroy();
  const got = [await second.receive(), await second.receive()];
  assert.deepEqual(got.map((message) => message.payload.toString()).sort(), ['a', 'b']);
  await second.expectNothing();
});

test('after UNSUBSCRIBE a member gets nothing more, and the others everything', async () => {
  const topic = unique();
  const filter = `$share/${unique('g')}/${topic}`;
  const [first, second] = [await suite.client(), await suite.client()];
  await first.subscribe(filter, 1);
  await second.subscribe(filter, 1);
  await first.unsubscribe(filter);
  const publisher = await suite.client();
  for (let index = 0; index < 10; index += 1) {
    await publisher.publish(topic, `${index}`, { qos: 1 });
    await second.receive({ payload: `${index}` });
  }
  await first.expectNothing();
});

test('a shared subscription gets no retained messages', async () => {
  const topic = unique();
  const client = await suite.client();
  await client.publish(topic, 'kept', { qos: 1, retain: true });
  await client.subscribe(`$share/${unique('g')}/${topic}`, 1);
  await client.expectNothing();
  await client.publish(topic, 'live', { qos: 1 });
  await client.receive({ payload: 'live', retain: false });
});
