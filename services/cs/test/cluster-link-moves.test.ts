// Sessions of a ds that is gone, drains or cannot be reached go to another one, with what waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId } from '@lmqtt/common/ids';
import { calls } from '@lmqtt/proto/calls';
import { clientAt, clusterLinkTo, connecting, connectTo, startDs } from './cluster-link-fixture.ts';
import type { FakeDs } from './link-fake-ds.ts';
import { metric, publishOf } from './link-fixture.ts';
import { stallingProxy } from './link-stalling-proxy.ts';

const end = { publishWill: true, sessionExpiryS: undefined, reason: 'connection lost' };
const moves = (reason: string): string => `lmqtt_link_lane_moves_total{reason="${reason}"}`;

/** As a process that is gone: its streams break, and it lets nobody in. */
function kill(ds: FakeDs): void {
  ds.held.add('welcome');
  ds.cut();
}

/** From the node's last attachment there on. */
function logOf(ds: FakeDs, what: string): string[] {
  return ds.log.slice(ds.log.lastIndexOf(what));
}

test('ds is gone: its lane presents elsewhere, and what waits goes out in order, each once', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode], { awayMs: 60_000 });
  const { link, node, server, directory, metrics } = linked;
  await server.whenAttached;
  const a = await connectTo(linked, 1, clientAt(one, [one, two]));
  await connectTo(linked, 2, clientAt(two, [one, two]));
  const gone = await connectTo(linked, 3, clientAt(one, [one, two], 1));
  kill(one);
  const came: string[] = [];
  link.publish([publishOf('a1', 1, 1), publishOf('b1', 1, 2)]);
  const subscribed = link.subscribe(a, []).then(() => came.push('subscribed'));
  link.publish([publishOf('a2', 2, 1)]);
  link.write([{ kind: 'inbound-done', session: a, packetId: 3 }], () => came.push('durable'));
  const disconnected = link.disconnect(gone, end).then(() => came.push('disconnected'));
  await node.until('the other lane goes on', () => node.answers.length === 1);
  node.log.length = 0;
  directory.set([two.dsNode]);
  await Promise.all([subscribed, disconnected]);
  await node.until('the answers', () => node.answers.length === 3);
  assert.deepEqual(
    node.answers.map(({ message }) => message.payload.toString()),
    ['b1', 'a1', 'a2'],
  );
  assert.deepEqual(new Set(came), new Set(['disconnected', 'durable', 'subscribed']));
  assert.deepEqual(logOf(two, 'presents 2 last'), [
    'presents 2 last',
    'publish a1',
    'call subscribe',
    'publish a2',
    'call disconnect',
  ]);
  assert.equal(two.metadata.at(-1)?.['lmqtt-node'], 'cs-1@ds-1');
  assert.deepEqual(
    node.log.filter((line) => line.startsWith('present')),
    ['present 1 3', 'presented 1 3'],
  );
  assert.equal(await metric(metrics, moves('gone')), 1);
  assert.deepEqual(node.changes, [{ up: true, leased: true }]);

  // Its own stays where it was, and so does who comes back to it.
  two.forget('cs-1@ds-2');
  two.log.length = 0;
  two.cut('cs-1@ds-2');
  await two.until('its own session alone', () => two.log.includes('presents 1 last'));

  // When its last session has ended, the lane is closed; the node goes on.
  await link.disconnect(a, end);
  await two.until('the lane is closed', () => two.log.at(-1) === 'call leave');
  assert.equal(calls.leave.request.decode(two.calls.at(-1)!.body).goesOn, true);
  assert.equal(link.up, true);
});

test('ds is away for long, though the directory has it: its sessions go; it gets another lane', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1', 600), await startDs(t, 'ds-2', 600)];
  const proxy = await stallingProxy(t, one);
  const linked = clusterLinkTo(t, [proxy.dsNode, two.dsNode], { awayMs: 300 });
  const { link, node, server, metrics, directory } = linked;
  await server.whenAttached;
  const mine = clientAt(one, [one, two]);
  await connectTo(linked, 1, mine);
  one.held.add('publishes');
  proxy.stall = true;
  link.publish([publishOf('a1', 1, 1)]);
  await node.until('the answer', () => node.answers.length === 1);
  assert.deepEqual(logOf(two, 'presents 1 last'), ['presents 1 last', 'publish a1']);
  assert.equal(await metric(metrics, moves('unreachable')), 1);
  assert.deepEqual(node.changes, [{ up: true, leased: true }]);
  // The client is back with another connection: its ds is not there.
  await connectTo(linked, 2, mine);
  assert.equal(two.calls.length, 1);

  proxy.stall = false;
  await one.until('another lane', () => one.metadata.at(-1)?.['lmqtt-node'] === 'cs-1@ds-1~2');
  await one.until('it is presented nothing', () => one.log.at(-1) === 'presents 0 last');
  await node.until('it is of use', () => node.log.at(-1) === 'presented');
  await connectTo(linked, 3, mine);
  assert.equal(one.calls.length, 2);
  link.publish([publishOf('a2', 1, 1)]);
  await node.until('it stays where it is', () => node.answers.length === 2);
  assert.equal(two.log.at(-1), 'publish a2');

  // And back again, where that one goes: it is at home no more, though it has the name.
  one.log.length = 0;
  directory.set([proxy.dsNode]);
  const presents = (): number => one.log.filter((line) => line === 'presents 1 last').length;
  await one.until('both lanes of ds-2', () => presents() === 2);
  const names = one.metadata.map((each) => each['lmqtt-node']);
  assert.deepEqual(new Set(names.slice(-2)), new Set(['cs-1@ds-1', 'cs-1@ds-2']));
});

test('a short absence moves nothing', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode], { awayMs: 2000 });
  const { link, node, server } = linked;
  await server.whenAttached;
  await connectTo(linked, 1, clientAt(one, [one, two]));
  kill(one);
  link.publish([publishOf('a1', 1, 1)]);
  await one.until('it tries', () => one.streams >= 2);
  one.held.clear();
  one.forget();
  one.cut();
  await node.until('the answer', () => node.answers.length === 1);
  assert.deepEqual(logOf(one, 'presents 1 last'), ['presents 1 last', 'publish a1']);
  assert.deepEqual(two.log, ['presents 0 last']);
});

test('ds drains: its sessions go at once, new clients too; pushes still come from it', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  const { link, node, server, directory, metrics } = linked;
  await server.whenAttached;
  const mine = clientAt(one, [one, two]);
  const a = await connectTo(linked, 1, mine);
  link.publish([publishOf('a1', 1, 1)]);
  directory.set([{ ...one.dsNode, draining: true }, two.dsNode]);
  link.publish([publishOf('a2', 1, 1)]);
  await node.until('the answers', () => node.answers.length >= 2);
  link.publish([publishOf('a3', 1, 1)]);
  await two.until('the last one', () => two.log.at(-1) === 'publish a3');
  assert.ok(two.log.includes('presents 1 last'));
  assert.equal(await metric(metrics, moves('draining')), 1);
  await one.until('a lane without sessions', () => one.log.at(-1) === 'presents 0 last');
  assert.equal(one.metadata.at(-1)?.['lmqtt-node'], 'cs-1@ds-1~2');
  await connectTo(linked, 2, mine);
  assert.equal(one.calls.length, 1);
  directory.set([two.dsNode]);
  await one.until('that one is closed', () => one.log.at(-1) === 'call leave');
  await link.subscribe(a, []);
});

test('a ds that comes later gets a lane and its clients; nobody moves to it', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode]);
  const { link, node, server, directory } = linked;
  await server.whenAttached;
  const later = clientAt(two, [one, two]);
  await connectTo(linked, 1, later);
  directory.set([one.dsNode, two.dsNode]);
  await two.until('a lane', () => two.log.length === 1);
  await node.until(
    'it is of use',
    () => node.log.filter((each) => each === 'presented').length === 2,
  );
  await connectTo(linked, 2, later);
  link.publish([publishOf('one', 1, 1), publishOf('two', 1, 2)]);
  await node.until('answers', () => node.answers.length === 2);
  assert.equal(one.log.at(-1), 'publish one');
  assert.equal(two.log.at(-1), 'publish two');
});

test('all ds are away: all waits, reads too, and goes to whichever comes', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1', 600), await startDs(t, 'ds-2', 600)];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode], { awayMs: 300 });
  const { link, node, server, directory } = linked;
  await server.whenAttached;
  await connectTo(linked, 1, clientAt(one, [one, two]));
  await connectTo(linked, 2, clientAt(two, [one, two]));
  for (const ds of [one, two]) kill(ds);
  await node.until('no lease', () => node.changes.at(-1)?.leased === false);
  assert.equal(link.up, false);
  await assert.rejects(link.connect(connecting(3, clientAt(one, [one]))), /no ds/);
  link.publish([publishOf('one', 1, 1), publishOf('two', 1, 2)]);
  const read = assert.rejects(
    link.read({ queue: queueId(5), partition: 0, from: 7, messagesMax: 1, bytesMax: 9 }),
    /ds/,
  );
  // The directory cannot say anything either: nothing is let go.
  directory.set([]);
  directory.set([one.dsNode, two.dsNode]);
  two.forget();
  two.held.clear();
  two.cut();
  await node.until('the answers', () => node.answers.length === 2);
  await read;
  assert.deepEqual(node.changes.at(-1), { up: true, leased: true });
  assert.ok(two.log.includes('publish one'));
});
