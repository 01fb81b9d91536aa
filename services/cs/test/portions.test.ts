// Packets that one client sends at once are worked on in portions, a turn of the event loop for
// each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SubscribeEntry } from '@lmqtt/proto/link';
import { generate } from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { startNode, turns } from './node-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

const portionMax = 500;
const manyFilters = Array.from({ length: 1050 }, (_, index) => `f/${index}`);

function many(count: number, packet: Packet): Buffer {
  const one = generate(packet, { protocolVersion: 5 });
  return Buffer.concat(Array.from({ length: count }, () => one));
}

test('a SUBSCRIBE and an UNSUBSCRIBE of many filters go to ds in portions, and have one answer', async (t) => {
  const { ds, connect } = startNode(t);
  const asked: number[] = [];
  ds.subscribe = (_session?: unknown, entries: SubscribeEntry[] = []) => {
    asked.push(entries.length);
    return Promise.resolve(
      entries.map(({ filter }, index) => ({
        kind: 'granted' as const,
        subscription: subscriptionState(filter, 1000 * asked.length + index, 0),
        retained: false,
        replacedAt: [],
      })),
    );
  };
  ds.unsubscribe = (_session?: unknown, filters: string[] = []) => {
    asked.push(filters.length);
    return Promise.resolve(filters.map(() => 0));
  };
  const client = await connect('c');
  client.took();
  const subscriptions = manyFilters.map((topic) => ({ topic, qos: 0 as const }));
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
  assert.deepEqual(asked, [portionMax], 'no more in the turn that it came in');
  // The next packet waits.
  client.send({ cmd: 'pingreq' });
  await turns(60);
  assert.equal(Math.max(...asked), portionMax);
  const [suback, ...rest] = client.packets.splice(0);
  assert.ok(suback?.cmd === 'suback');
  assert.equal(suback.granted.length, manyFilters.length);
  assert.deepEqual(
    rest.map(({ cmd }) => cmd),
    ['pingresp'],
  );
  asked.length = 0;
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: manyFilters });
  assert.deepEqual(asked, [portionMax]);
  await turns(60);
  assert.equal(Math.max(...asked), portionMax);
  const [unsuback] = client.packets;
  assert.ok(unsuback?.cmd === 'unsuback' && Array.isArray(unsuback.granted));
  assert.equal(unsuback.granted.length, manyFilters.length);
});

test('answers that come at once do not make all SUBSCRIBEs of a chunk one turn', async (t) => {
  const { ds, connect } = startNode(t);
  let asked = 0;
  ds.subscribe = () => {
    asked += 1;
    return Promise.resolve([{ kind: 'refused', reasonCode: 0x97 }]);
  };
  const client = await connect('c');
  const one: Packet = { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] };
  client.owner.received(many(2000, one));
  // Microtasks of the same turn.
  for (let index = 0; index < 10_000; index += 1) await Promise.resolve();
  assert.ok(asked > 0 && asked <= 2 * portionMax, `${asked} in one turn`);
  await turns(200);
  assert.equal(asked, 2000);
});

test('many small packets of one chunk take several turns, and nothing of them is lost', async (t) => {
  const { ds, counters, connect } = startNode(t);
  const client = await connect('c');
  const publish: Packet = {
    cmd: 'publish',
    topic: 't',
    payload: '',
    qos: 0,
    dup: false,
    retain: false,
  };
  for (const [packet, done] of [
    [publish, () => ds.publishes.length],
    [{ cmd: 'pingreq' }, () => client.packets.filter(({ cmd }) => cmd === 'pingresp').length],
  ] as const) {
    client.packets.length = 0;
    const bytesBefore = counters.bytesReceived;
    client.owner.received(many(20_000, packet));
    assert.ok(counters.bytesReceived > bytesBefore);
    // A small packet is kept without touching the socket.
    if (packet.cmd === 'publish') assert.ok(client.paused, 'its socket is not read meanwhile');
    await turns(2);
    assert.ok(done() < 10_000, `${done()} in two turns`);
    await turns(60);
    assert.equal(done(), 20_000);
    assert.ok(!client.paused);
  }
});
