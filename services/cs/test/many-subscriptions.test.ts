// Sessions of many subscriptions: taken over from ds in portions, before CONNACK.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnMax } from '@lmqtt/common/in-portions';
import { LinkLost } from '@lmqtt/proto/link-lost';
import type { SessionState } from '@lmqtt/proto/session-state';
import { stored } from './queue-fixture.ts';
import { type Cell, type FakeClient, startNode, turns, until } from './node-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

const count = 1000;

function many(firstQueue = 1): SessionState {
  const subscriptions = Array.from({ length: count }, (_, index) => {
    // The first and the last one match the messages of these tests.
    const filter = ['t', '+'][[0, count - 1].indexOf(index)] ?? `many/${index}`;
    return subscriptionState(filter, firstQueue + index, 1);
  });
  return { subscriptions, outbound: [], inbound: [] };
}

test('a session of many subscriptions has all of them when CONNACK leaves', async (t) => {
  const { ds, connect } = startNode(t);
  ds.states.set('c', many());
  ds.messages = [stored('owed', 1, [[count, 0, -1]])];
  ds.answers = false;
  const client = await connect('c', { clean: false });
  ds.answers = true;
  const [waiting] = ds.connects.splice(0);
  waiting!.resolve(await ds.connect(waiting!.request));
  await turns(1);
  assert.deepEqual(client.took(), [], 'not all at once');
  await until(() => client.packets.length > 1);
  assert.deepEqual(client.took(), ['connack', 'publish']);
});

test('a push that comes while subscriptions are taken over is delivered after CONNACK', async (t) => {
  const { ds, connect } = startNode(t);
  ds.states.set('c', many());
  const client = await connect('c', { clean: false });
  ds.node.push([stored('early', 1, [[1, 0, -1]])]);
  ds.messages = [stored('early', 1, [[1, 0, -1]])];
  await until(() => client.packets.length > 1);
  assert.deepEqual(client.took(), ['connack', 'publish']);
});

test('rights that change meanwhile count; a client that was displaced meanwhile is closed behind CONNACK', async (t) => {
  const { ds, node, connect } = startNode(t);
  ds.states.set('c', many());
  ds.answers = false;
  const client = await connect('c', { clean: false });
  const [waiting] = ds.connects.splice(0);
  const { session } = waiting!.request;
  ds.answers = true;
  const answer = await ds.connect(waiting!.request);
  ds.answers = false;
  waiting!.resolve(answer);
  await until(() => ds.subscriptionReads.length > 0);
  node.rights(session, JSON.stringify([]));
  node.kick(session, 0x8e);
  ds.answers = true;
  for (const read of ds.subscriptionReads.splice(0))
    read.resolve(await ds.subscriptionsOf(session, read.request));
  await until(() => client.closed);
  assert.deepEqual(client.took(), ['connack', 'disconnect']);
});

for (const end of ['connection', 'ds'] as const) {
  test(`the ${end} is lost while subscriptions are taken over: nothing of the session is left`, async (t) => {
    const { ds, node, connect } = startNode(t);
    ds.states.set('c', many());
    ds.answers = false;
    const client = await connect('c', { clean: false });
    const [waiting] = ds.connects.splice(0);
    ds.answers = true;
    const answer = await ds.connect(waiting!.request);
    ds.answers = false;
    waiting!.resolve(answer);
    await until(() => ds.subscriptionReads.length > 0);
    const queues = (): number => new Map(node.feeds.figures()).get('queues') ?? 0;
    assert.ok(queues() > 0);
    const [read] = ds.subscriptionReads.splice(0);
    if (end === 'connection') {
      client.lose();
      assert.equal(ds.disconnects.length, 1, 'ds hears of it');
      read!.resolve([]);
      await until(() => queues() === 0);
      assert.equal(node.entrance.atWorkCount, 0);
      return;
    }
    read!.reject(new LinkLost('another ds took over'));
    await until(() => queues() === 0);
    assert.deepEqual([client.closed, client.took()], [false, []]);
    // The next ds is asked anew.
    ds.answers = true;
    await until(() => client.packets.length > 0 || ds.connects.length > 0);
    for (const next of ds.connects.splice(0)) next.resolve(await ds.connect(next.request));
    await until(() => client.packets.length > 0);
    assert.deepEqual(client.took(), ['connack']);
    assert.equal(queues(), count);
  });
}

test('the end of a session lets go all of its queues, over some turns', async (t) => {
  const { ds, node, connect } = startNode(t);
  ds.states.set('c', many());
  const client = await connect('c', { clean: false });
  await until(() => client.packets.length > 0);
  const queues = (): number => new Map(node.feeds.figures()).get('queues') ?? 0;
  assert.equal(queues(), count);
  client.lose();
  assert.ok(queues() > 0, 'not all at once');
  await until(() => queues() === 0);
});

/** The most by which a figure changes in one turn, until it stands still. */
async function mostInOneTurn(figure: () => number): Promise<number> {
  let most = 0;
  let before = figure();
  for (let quiet = 0; quiet < 5; quiet += 1) {
    await turns(1);
    const now = figure();
    if (now !== before) quiet = 0;
    most = Math.max(most, Math.abs(now - before));
    before = now;
  }
  return most;
}

const sessionCount = 10;

async function connectMany({ ds, connect }: Cell): Promise<FakeClient[]> {
  const clients: FakeClient[] = [];
  for (let number = 0; number < sessionCount; number += 1) {
    ds.states.set(`c${number}`, many(1 + number * count));
    clients.push(await connect(`c${number}`, { clean: false }));
  }
  await until(() => clients.every(({ packets }) => packets.length > 0));
  return clients;
}

test('sessions of many subscriptions that end at once share the turns', async (t) => {
  const cell = startNode(t);
  const clients = await connectMany(cell);
  const queues = (): number => new Map(cell.node.feeds.figures()).get('queues') ?? 0;
  assert.equal(queues(), sessionCount * count);
  for (const client of clients) client.lose();
  const most = await mostInOneTurn(queues);
  assert.ok(most <= turnMax, `${most} in one turn`);
  assert.equal(queues(), 0);
});

test('sessions of many subscriptions read anew over some turns when another ds has them', async (t) => {
  const cell = startNode(t);
  const { ds } = cell;
  await connectMany(cell);
  ds.answers = false;
  ds.node.presented([]);
  const reads = (): number => ds.reads.length;
  const first = reads();
  const most = Math.max(first, await mostInOneTurn(reads));
  assert.ok(most <= turnMax, `${most} in one turn`);
  assert.equal(reads(), sessionCount * count);
});
