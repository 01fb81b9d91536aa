// Rates of publishes, by client and by user: nothing is lost, nobody is left out, and what was used
// stays used.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { IPublishPacket } from 'mqtt-packet';
import { type Cell, type FakeClient, startNode, turns } from './node-fixture.ts';

function publish(payload: string, more: Partial<IPublishPacket> = {}): IPublishPacket {
  const messageId = Number(payload) + 1;
  return {
    cmd: 'publish',
    topic: 't',
    payload,
    qos: 1,
    messageId,
    dup: false,
    retain: false,
    ...more,
  };
}

function sendAll(client: FakeClient, count: number, more: Partial<IPublishPacket> = {}): void {
  for (let index = 0; index < count; index += 1) client.send(publish(`${index}`, more));
}

/** Bodies of the publishes that ds has got. */
function bodies({ ds }: Cell): string[] {
  return ds.publishes.map(({ message }) => message.payload.toString());
}

async function pass({ clock, node }: Cell, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    await turns();
    clock.ms += 250;
    node.wheel.advance(clock.ms);
  }
  await turns();
}

function startCell(t: TestContext, config: Parameters<typeof startNode>[1]): Cell {
  const cell = startNode(t, config);
  cell.ds.leaseEndsMs = 1_000_000;
  return cell;
}

for (const protocolVersion of [4, 5] as const)
  test(`version ${protocolVersion}: past its rate a client is not read, and loses nothing`, async (t) => {
    const cell = startCell(t, { maxPublishRate: 4 });
    const client = await cell.connect('a', { protocolVersion, keepalive: 1 });
    sendAll(client, 20);
    client.send({ cmd: 'pingreq' });
    await turns();
    assert.equal(cell.ds.publishes.length, 5, 'a burst, and the one that is past it');
    assert.ok(client.paused);
    assert.equal(cell.node.publishRates.heldCount, 1);
    await pass(cell, 2000);
    assert.equal(cell.ds.publishes.length, 5 + 8);
    await pass(cell, 3000);
    assert.deepEqual(
      bodies(cell),
      Array.from({ length: 20 }, (_, index) => `${index}`),
    );
    assert.ok(!client.closed);
    assert.ok(!client.paused);
    assert.equal(cell.node.publishRates.heldCount, 0);
  });

test('answers to what a client has published do not let it go on sooner', async (t) => {
  const cell = startCell(t, { maxPublishRate: 4 });
  const client = await cell.connect('a');
  sendAll(client, 20);
  await turns();
  cell.ds.answerPublishes();
  await turns();
  assert.ok(client.paused);
  assert.deepEqual(bodies(cell), []);
});

test('a client of which little is kept unread for long is not timed out', async (t) => {
  const cell = startCell(t, { maxPublishByteRate: 1000 });
  const client = await cell.connect('a', { keepalive: 1 });
  client.send(publish('0', { payload: Buffer.alloc(9000) }));
  client.send(publish('1'));
  client.send({ cmd: 'pingreq' });
  await pass(cell, 7500);
  assert.ok(!client.closed);
  assert.equal(cell.ds.publishes.length, 1);
  await pass(cell, 1000);
  assert.equal(cell.ds.publishes.length, 2);
  assert.ok(!client.closed);
  await pass(cell, 3000);
  assert.ok(client.closed, 'a silent client stays');
});

test('clients of one user share its rate, and take turns', async (t) => {
  const cell = startCell(t, { maxPublishRatePerUser: 4 });
  const clients: FakeClient[] = [];
  for (const clientId of ['a', 'b', 'c'])
    clients.push(await cell.connect(clientId, { username: 'ann', password: Buffer.from('x') }));
  for (const [index, client] of clients.entries())
    sendAll(client, 30, { topic: `t${index}`, qos: 0 });
  const other = await cell.connect('d', { username: 'bob', password: Buffer.from('x') });
  sendAll(other, 3, { topic: 'other' });
  await pass(cell, 10_000);
  const ofAnn = cell.ds.publishes.filter(({ message }) => message.topic !== 'other');
  assert.equal(cell.ds.publishes.length - ofAnn.length, 3);
  // A burst, one for each that is past it, and what has come in 10 s.
  assert.ok(ofAnn.length >= 40 && ofAnn.length <= 4 + 3 + 40, `${ofAnn.length}`);
  for (const topic of ['t1', 't2'])
    assert.ok(ofAnn.filter(({ message }) => message.topic === topic).length >= 8, topic);
});

test('a client that connects again finds its rate used', async (t) => {
  const cell = startCell(t, { maxPublishRate: 4, publishRateAnswer: 'disconnect' });
  const first = await cell.connect('a');
  sendAll(first, 4);
  await turns();
  assert.ok(!first.closed);
  first.send({ cmd: 'disconnect', reasonCode: 0 });
  await turns();
  const again = await cell.connect('a');
  sendAll(again, 1);
  await turns();
  assert.ok(again.closed);
  assert.deepEqual(again.took(), ['connack', 'disconnect']);
  cell.clock.ms += 5000;
  await turns();
  cell.node.publishRates.sweep();
  assert.equal(cell.node.publishRates.count, 0, 'what is as new is not kept');
});

test('PUBLISH_RATE_ANSWER refuse: 0x97 for what has an answer, and what is taken stays taken', async (t) => {
  const cell = startCell(t, { maxPublishRate: 2, publishRateAnswer: 'refuse' });
  const client = await cell.connect('a');
  client.send(publish('0', { qos: 2 }));
  await turns();
  cell.ds.answerPublishes();
  client.send(publish('1'));
  // A refused publish sets its topic alias all the same.
  client.send(publish('2', { topic: 'aliased', properties: { topicAlias: 1 } }));
  client.send(publish('0', { qos: 2, dup: true }));
  await turns();
  const answers = client.packets.splice(0).slice(1);
  assert.deepEqual(
    answers.map((packet) => [packet.cmd, 'reasonCode' in packet ? packet.reasonCode : 0]),
    [
      ['pubrec', 0],
      ['puback', 0x97],
      ['pubrec', 0],
    ],
  );
  await pass(cell, 1000);
  client.send(publish('3', { topic: '', properties: { topicAlias: 1 } }));
  await turns();
  assert.deepEqual(
    cell.ds.publishes.map(({ message }) => message.topic),
    ['t', 'aliased'],
  );
});

test('without rates a connection has none', async (t) => {
  const cell = startCell(t, {});
  const client = await cell.connect('a');
  const [connection] = cell.node.connections.all();
  assert.equal(connection?.publishRate, undefined);
  sendAll(client, 100, { qos: 0 });
  await turns();
  assert.equal(cell.ds.publishes.length, 100);
});
