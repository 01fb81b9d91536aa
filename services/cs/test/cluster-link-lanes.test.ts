// A node with a stream to every ds: who is where, and what goes by which of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { clientId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { calls } from '@lmqtt/proto/calls';
import {
  writeDurable,
  writeFailure,
  writePushes,
  writeReadAnswer,
} from '@lmqtt/proto/wire/downstream-writer';
import { chosen } from '../src/link/lane-choice.ts';
import { clientAt, clusterLinkTo, connecting, connectTo, startDs } from './cluster-link-fixture.ts';
import { metric, publishOf } from './link-fixture.ts';

const end = { publishWill: true, sessionExpiryS: undefined, reason: 'connection lost' };

test('clients are spread evenly, and one ds more or less moves only its own', () => {
  const three = ['ds-1', 'ds-2', 'ds-3'];
  const counts = new Map<string, number>();
  let moved = 0;
  for (let index = 0; index < 3000; index++) {
    const client = `device/${index}`;
    const ds = chosen(client, three, (id) => id)!;
    counts.set(ds, (counts.get(ds) ?? 0) + 1);
    const without = chosen(client, ['ds-3', 'ds-1'], (id) => id);
    if (ds === 'ds-2') moved += 1;
    else assert.equal(without, ds);
  }
  assert.equal(counts.get('ds-2'), moved);
  for (const id of three)
    assert.ok(Math.abs(counts.get(id)! - 1000) < 150, `${id} ${counts.get(id)}`);
  // All versions of a cs come to the same.
  assert.deepEqual(
    ['', 'a', 'device/7', 'ä€😀'].map((client) => chosen(client, three, (id) => id)),
    ['ds-2', 'ds-2', 'ds-1', 'ds-2'],
  );
});

test('a lane to each ds, named after it; each session at the ds of its client', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  const { link, node, server, metrics } = linked;
  assert.equal(link.up, false);
  await assert.rejects(link.connect(connecting(1, clientId('a'))), /no ds can be reached/);
  await server.whenAttached;
  assert.deepEqual(
    [one, two].map((ds) => ds.metadata[0]?.['lmqtt-node']),
    ['cs-1@ds-1', 'cs-1@ds-2'],
  );
  assert.equal(one.metadata[0]!['lmqtt-instance'], two.metadata[0]!['lmqtt-instance']);
  assert.deepEqual(node.changes, [{ up: true, leased: true }]);
  const a = await connectTo(linked, 1, clientAt(one, [one, two]));
  const b = await connectTo(linked, 2, clientAt(two, [one, two]));
  assert.deepEqual([one.calls.length, two.calls.length], [1, 1]);
  assert.equal(await metric(metrics, 'lmqtt_link_sessions{lane="ds-1"}'), 1);
  await link.subscribe(a, []);
  link.credit(b, 5);
  link.publish([publishOf('a', 1, 1)]);
  link.publish([publishOf('b', 1, 2)]);
  await node.until('answers', () => node.answers.length === 2);
  await two.until('credit', () => two.credits.length === 1);
  assert.deepEqual(one.log.slice(1), ['call connect', 'call subscribe', 'publish a']);
  assert.deepEqual(two.log.slice(1), ['call connect', 'credit 2 5', 'publish b']);
  await link.disconnect(a, end);
  assert.equal(one.log.at(-1), 'call disconnect');
  assert.equal(await metric(metrics, 'lmqtt_link_sessions{lane="ds-1"}'), 0);
  await assert.rejects(link.subscribe(a, []), /not known/);
});

test('a batch with sessions of two lanes: each part in its order, durable when both are', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  const { link, node, server } = linked;
  await server.whenAttached;
  const a = await connectTo(linked, 1, clientAt(one, [one, two]));
  const b = await connectTo(linked, 2, clientAt(two, [one, two]));
  link.publish([
    publishOf('a1', 1, 1),
    publishOf('b1', 1, 2),
    publishOf('over', 1, 9),
    publishOf('a2', 2, 1),
    publishOf('b2', 0, 2),
  ]);
  await node.until('the answers', () => node.answers.length === 4);
  await two.until('QoS 0', () => two.publishes.length === 2);
  assert.deepEqual(one.log.slice(2), ['publish a1', 'publish a2']);
  assert.deepEqual(two.log.slice(2), ['publish b1', 'publish b2']);
  const over = node.answers.find(({ session }) => session === 9);
  assert.equal(over?.reasonCode, 0x8e);

  for (const ds of [one, two]) ds.held.add('writes');
  const releaseOf = (session: typeof a) =>
    ({ kind: 'inbound-done', session, packetId: 3 }) as const;
  const came: string[] = [];
  assert.equal(
    link.write([releaseOf(a), releaseOf(b), releaseOf(a)], () => came.push('both')),
    true,
  );
  assert.equal(
    link.write([releaseOf(b), releaseOf(a)], () => came.push('one fenced')),
    true,
  );
  assert.equal(
    link.write([releaseOf(b), releaseOf(a)], () => came.push('fenced')),
    true,
  );
  assert.equal(
    link.write([releaseOf(sessionHandle(9))], () => came.push('never')),
    false,
  );
  await one.until('writes', () => one.writes.length === 3);
  await two.until('writes', () => two.writes.length === 3);
  assert.deepEqual(
    [one, two].map((ds) => ds.writes.map(({ batch }) => batch.length)),
    [
      [2, 1, 1],
      [1, 1, 1],
    ],
  );
  writeDurable(one.exchange, [1], [2, 3]);
  await linked.link.subscribe(a, []);
  assert.deepEqual(came, []);
  writeDurable(two.exchange, [1, 2], [3]);
  await linked.link.subscribe(b, []);
  assert.deepEqual(came, ['both', 'one fenced']);

  const parts = link.split?.([releaseOf(b), releaseOf(a), releaseOf(b)]);
  assert.deepEqual(parts, [[releaseOf(b), releaseOf(b)], [releaseOf(a)]]);
  assert.equal(link.split?.([releaseOf(a), releaseOf(a)]).length, 1);
});

test('pushes come from any ds', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const { node, server } = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  await server.whenAttached;
  const message = messageOf({ topic: 't', qos: 1, retain: false, payload: Buffer.from('m') });
  writePushes(one.exchange, [message]);
  writePushes(two.exchange, [message]);
  await node.until('both', () => node.pushed.length === 2);
});

test('reads are spread by queue, and go to another ds where one fails or is away', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const { link, server } = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  await server.whenAttached;
  const request = { partition: 0, from: 7, messagesMax: 10, bytesMax: 99 };
  const answer = { messages: [], next: 8, end: 9 };
  const even = link.read({ ...request, queue: queueId(4) });
  const odd = link.read({ ...request, queue: queueId(5) });
  await one.until('a read', () => one.reads.length === 1);
  await two.until('a read', () => two.reads.length === 1);
  assert.notEqual(one.reads[0]!.request.queue, two.reads[0]!.request.queue);
  writeFailure(one.exchange, one.reads[0]!.id, 'the disk is gone');
  await two.until('the other read', () => two.reads.length === 2);
  for (const { id } of two.reads) writeReadAnswer(two.exchange, id, answer);
  assert.deepEqual(await Promise.all([even, odd]), [answer, answer]);

  // One that waits for a ds that goes away.
  const both = [4, 5].map((queue) => link.read({ ...request, queue: queueId(queue) }));
  await two.until('a read', () => two.reads.length === 3);
  one.held.add('welcome');
  one.cut();
  await two.until('the other read', () => two.reads.length === 4);
  for (const { id } of two.reads.slice(2)) writeReadAnswer(two.exchange, id, answer);
  assert.deepEqual(await Promise.all(both), [answer, answer]);
  const failing = link.read({ ...request, queue: queueId(4) });
  await two.until('a read', () => two.reads.length === 5);
  writeFailure(two.exchange, two.reads[4]!.id, 'this one, too');
  await assert.rejects(failing, /this one, too/);
});

test('the lease is carried by any lane; an answer that confirms nothing does not', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1', 600), await startDs(t, 'ds-2', 600)];
  const linked = clusterLinkTo(t, [one.dsNode, two.dsNode], { awayMs: 60_000 });
  const { node, link, server, clock } = linked;
  await server.whenAttached;
  const mine = clientAt(one, [one, two]);
  one.unconfirmed = true;
  await one.until('renewals', () => one.renewals.length >= 6);
  assert.ok(link.leaseEndsMs > clock.monotonicMs());
  assert.deepEqual(node.changes, [{ up: true, leased: true }]);
  assert.equal(one.streams, 1);
  // A client of a ds that cannot answer for the lease goes to one that can.
  await connectTo(linked, 1, mine);
  assert.equal(two.calls.length, 1);
  two.unconfirmed = true;
  await node.until('frozen', () => node.changes.at(-1)?.leased === false);
  assert.equal(link.up, false);
  one.unconfirmed = false;
  await node.until('the lease again', () => node.changes.at(-1)?.leased === true && link.up);
  assert.equal(two.streams, 1);
});

test('a planned stop says goodbye to every ds', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  const { server } = clusterLinkTo(t, [one.dsNode, two.dsNode]);
  await server.whenAttached;
  await server.detach();
  for (const ds of [one, two]) {
    assert.equal(ds.log.at(-1), 'call leave');
    assert.equal(calls.leave.request.decode(ds.calls[0]!.body).goesOn, false);
  }
});

test('refused by the first ds: for good; by another one: it is asked again', async (t) => {
  const [one, two] = [await startDs(t, 'ds-1'), await startDs(t, 'ds-2')];
  two.refuse = { code: status.UNAUTHENTICATED, details: 'the secret is wrong' };
  const linked = clusterLinkTo(t, [two.dsNode]);
  await assert.rejects(linked.server.whenAttached, /the secret is wrong/);
  const other = clusterLinkTo(t, [one.dsNode]);
  await other.server.whenAttached;
  const { streams } = two;
  other.directory.set([one.dsNode, two.dsNode]);
  await two.until('two refusals', () => two.streams >= streams + 2);
  assert.equal(other.link.up, true);
});
