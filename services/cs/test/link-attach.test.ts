import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { groupId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { calls } from '@lmqtt/proto/calls';
import { protocolVersion } from '@lmqtt/proto/dispatch';
import {
  writeAssignments,
  writeFailure,
  writeKick,
  writePublished,
  writeRefusal,
  writePushes,
  writeQueueEnds,
  writeReadAnswer,
} from '@lmqtt/proto/wire/downstream-writer';
import { LinkRefused } from '../src/link/first-attachment.ts';
import { CertificateAuthority, needsOpenssl } from './certificate-authority.ts';
import { FakeDs, mutualTls } from './link-fake-ds.ts';
import { linkTo, metric, presentedOf, publishOf } from './link-fixture.ts';

const session = sessionHandle(1);

test('attaching presents the sessions in parts, and begins the lease with the answer', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('presents');
  const sessions = Array.from({ length: 300 }, (_, index) => presentedOf(index + 1));
  const { node, link, server, metrics } = linkTo(t, ds, { clusterSecret: 's e' }, sessions);
  assert.equal(link.up, false);
  await ds.until('both parts', () => ds.log.includes('presents 44 last'));
  assert.deepEqual(ds.log, ['presents 256', 'presents 44 last']);
  assert.deepEqual(ds.presented, sessions);
  assert.equal(link.up, false);
  assert.equal(link.leaseEndsMs, 0);
  ds.answerPresents();
  await server.whenAttached;
  assert.equal(link.up, true);
  assert.ok(link.leaseEndsMs > performance.now());
  assert.deepEqual(node.changes, [{ up: true, leased: true }]);
  const [metadata] = ds.metadata;
  assert.equal(metadata?.['lmqtt-protocol'], String(protocolVersion));
  assert.equal(metadata['lmqtt-secret'], 's e');
  assert.equal(metadata['lmqtt-node'], 'cs-1');
  assert.match(metadata['lmqtt-instance'] ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(metadata['lmqtt-attachment'], '');
  const [renewal] = ds.renewals;
  assert.deepEqual(renewal?.counters, { 'messages/received': 7 });
  assert.equal(renewal.connections, 3);
  assert.equal(await metric(metrics, 'lmqtt_link_up'), 1);
  assert.equal(await metric(metrics, 'lmqtt_link_unanswered_calls'), 0);
  assert.ok((await metric(metrics, 'lmqtt_link_unacknowledged_frames')) <= 8);
});

test('publishes at QoS 1 and 2 are answered one by one; QoS 0 is refused or passes without a word', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('publishes');
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  link.publish([publishOf('a'), publishOf('zero', 0, 2), publishOf('b', 2)]);
  await ds.until('publishes', () => ds.publishes.length === 3);
  const [a, zero, b] = ds.publishes;
  assert.deepEqual(
    ds.publishes.map(({ number }) => number),
    [1, 0, 2],
  );
  assert.equal(a!.message.publisher, 'client-1');
  a!.reasonCode = 0x10;
  writePublished(ds.exchange, 'control', [a!, b!]);
  writeRefusal(ds.exchange, zero!.session, 0x87);
  await node.until('the refusal', () => node.log.includes('refused 2 135'));
  assert.deepEqual(
    node.answers.map(({ session: of, packetId, message, reasonCode }) => [
      of,
      packetId,
      message.qos,
      reasonCode,
    ]),
    [
      [1, 1, 1, 0x10],
      [1, 1, 2, 0],
    ],
  );
});

test('publishes are answered in any order; one of a session that left ends as fenced', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('publishes');
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  link.publish([publishOf('slow', 1, 2), publishOf('stored')]);
  await ds.until('publishes', () => ds.publishes.length === 2);
  ds.answerPublishes([ds.publishes[1]!]);
  await node.until('one', () => node.answers.length === 1);
  ds.answerPublishes([ds.publishes[0]!]);
  await node.until('both', () => node.answers.length === 2);
  assert.deepEqual(node.log.slice(-2), ['published stored:0', 'published slow:0']);
  link.publish([publishOf('last', 1, 2), publishOf('open')]);
  await link.disconnect(sessionHandle(2), {
    publishWill: true,
    sessionExpiryS: undefined,
    reason: 'taken over',
  });
  assert.deepEqual(node.log.at(-1), 'published last:142');
});

test('calls, reads and writes are answered; failures reject', async (t) => {
  const ds = await FakeDs.start(t);
  const { link, server } = linkTo(t, ds);
  await server.whenAttached;
  const codes = calls.unsubscribe;
  ds.answerOf.set(codes.method, (body) =>
    codes.answer.encode(codes.request.decode(body).filters.map(() => 0x11)),
  );
  assert.deepEqual(await link.unsubscribe(session, ['a', 'b']), [0x11, 0x11]);

  const request = { queue: queueId(5), partition: 0, from: 7, messagesMax: 10, bytesMax: 99 };
  const read = link.read(request);
  await ds.until('the read', () => ds.reads.length === 1);
  assert.deepEqual(ds.reads[0]?.request, request);
  const message = messageOf({ topic: 't', qos: 1, retain: false, payload: Buffer.from('m') });
  writeReadAnswer(ds.exchange, ds.reads[0].id, { messages: [message], next: 8, end: 9 });
  const answer = await read;
  assert.deepEqual([answer.messages.length, answer.next, answer.end], [1, 8, 9]);

  const failing = link.read(request);
  await ds.until('the read', () => ds.reads.length === 2);
  writeFailure(ds.exchange, ds.reads[1]!.id, 'the disk is gone');
  await assert.rejects(failing, /the disk is gone/);

  const subscribing = link.subscribe(session, []);
  await ds.until('the call', () => ds.log.at(-1) === 'call subscribe');
  writeFailure(ds.exchange, ds.calls.at(-1)!.id, 'no room');
  await assert.rejects(subscribing, /no room/);

  const release = { kind: 'inbound-done', session, packetId: 3 } as const;
  link.write([release]);
  await new Promise<void>((resolve) => link.write([release, release], resolve));
  assert.deepEqual(
    ds.writes.map(({ number, batch }) => [number, batch.length]),
    [
      [0, 1],
      [1, 2],
    ],
  );
  link.credit(session, 12);
  await ds.until('the credit', () => ds.credits.length === 1);
  assert.deepEqual(ds.credits, [{ session, total: 12 }]);
});

test('what ds says reaches the node', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, server } = linkTo(t, ds);
  await server.whenAttached;
  const message = messageOf({ topic: 't', qos: 0, retain: false, payload: Buffer.from('m') });
  const end = { queue: queueId(4), partition: 1, end: 77 };
  writePushes(ds.exchange, [message, message]);
  writeQueueEnds(ds.exchange, [end]);
  writeAssignments(ds.exchange, [
    { session, group: groupId(2), filter: 'f', ...end, offset: 5, message },
  ]);
  writeKick(ds.exchange, session, 0x8e);
  await node.until('the kick', () => node.log.includes('kick 1 142'));
  assert.deepEqual(node.log.slice(-4), ['push 2', 'behind', 'assign 1', 'kick 1 142']);
  assert.deepEqual(node.ends, [end]);
});

test('the wall clock of ds', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const aheadMs = 3_600_000;
  ds.wallAheadMs = aheadMs;
  const { server } = linkTo(t, ds);
  await server.whenAttached;
  await ds.until('a second renewal', () => ds.renewals.length >= 2);
  // Wrong by at most half of a round trip, which may take long where much else runs.
  assert.ok(Math.abs(server.wallOffsetMs - aheadMs) < 60_000, String(server.wallOffsetMs));
});

test('a planned stop tells ds after all that was handed over', async (t) => {
  const ds = await FakeDs.start(t);
  const { link, server } = linkTo(t, ds);
  await server.whenAttached;
  link.publish([publishOf('a')]);
  await server.detach();
  assert.deepEqual(ds.log.slice(-2), ['publish a', 'call leave']);
  assert.equal(link.up, false);
  await assert.rejects(link.disconnect(session, endOfTest), /closed/);
});

test('a planned stop waits for the answer of ds, for half of STOP_TIMEOUT_MS', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('calls');
  const { server } = linkTo(t, ds, { stopTimeoutMs: 20_000 });
  await server.whenAttached;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let stopped = false;
  const detached = server.detach().then(() => {
    stopped = true;
  });
  await ds.until('the call', () => ds.log.at(-1) === 'call leave');
  t.mock.timers.tick(9_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(stopped, false);
  t.mock.timers.tick(1);
  await detached;
});

test('a stop without ds does not wait for it', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('welcome');
  const { link, server } = linkTo(t, ds);
  await ds.until('the stream', () => ds.streams === 1);
  const waiting = link.disconnect(session, endOfTest);
  await server.detach();
  await assert.rejects(waiting, /closed/);
  assert.equal(link.write([]), false);
});

const endOfTest = { publishWill: false, sessionExpiryS: undefined, reason: 'client' };

for (const [what, code] of [
  ['secret', status.UNAUTHENTICATED],
  ['protocol', status.FAILED_PRECONDITION],
] as const) {
  test(`refused for its ${what}: for good, where it was never attached`, async (t) => {
    const ds = await FakeDs.start(t);
    ds.refuse = { code, details: `the ${what} is wrong` };
    const { server } = linkTo(t, ds);
    await assert.rejects(server.whenAttached, (error) => {
      assert.ok(error instanceof LinkRefused);
      assert.equal(error.message, `ds refused this node: the ${what} is wrong`);
      return true;
    });
    assert.equal(ds.streams, 1);
  });
}

test('a node id in use is asked for during two leases', async (t) => {
  const ds = await FakeDs.start(t);
  ds.refuse = { code: status.ALREADY_EXISTS, details: 'cs-1 is in use' };
  const { server, clock } = linkTo(t, ds);
  await ds.until('a second try', () => ds.streams >= 2);
  clock.shiftMs = 1500;
  await assert.rejects(server.whenAttached, /cs-1 is in use/);

  const other = linkTo(t, ds);
  const tried = ds.streams;
  await ds.until('a try', () => ds.streams > tried);
  ds.refuse = undefined;
  await other.server.whenAttached;
});

test('a node that was attached is not refused for good', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server, metrics } = linkTo(t, ds);
  await server.whenAttached;
  ds.refuse = { code: status.UNAUTHENTICATED, details: 'the secret is wrong' };
  const { streams } = ds;
  ds.cut();
  await ds.until('two refusals', () => ds.streams >= streams + 2);
  ds.refuse = undefined;
  await node.until('up again', () => link.up);
  assert.ok((await metric(metrics, 'lmqtt_link_streams_total{event="refused"}')) >= 2);
});

test('what cannot be sent as a header is a mistake of the settings', async (t) => {
  const ds = await FakeDs.start(t);
  assert.throws(() => linkTo(t, ds, { clusterSecret: 'geheimnisvoll…' }), SettingsError);
});

describe('TLS', needsOpenssl, () => {
  const authority = needsOpenssl.skip === false ? new CertificateAuthority() : undefined;
  after(() => authority?.remove());

  test('mutual', async (t) => {
    const pair = authority!.signed('/CN=ds');
    const own = authority!.signed('/CN=cs-1');
    const root = authority!.root.certificate;
    const ds = await FakeDs.start(t, { credentials: mutualTls({ authority: root, ...pair }) });
    const files = { rpcTlsCa: root, rpcTlsCert: own.certificate, rpcTlsKey: own.key };
    const { link, server } = linkTo(t, ds, files);
    await server.whenAttached;
    assert.equal(link.up, true);

    // Without a certificate, and with an authority that did not sign: no stream comes about.
    const plain = linkTo(t, ds, { rpcTlsCa: root });
    const stranger = linkTo(t, ds, {
      ...files,
      rpcTlsCa: authority!.selfSigned('/CN=x').certificate,
    });
    for (const { metrics } of [plain, stranger]) await untilBroken(metrics);
    assert.equal(ds.streams, 1);
  });
});

async function untilBroken(metrics: Parameters<typeof metric>[0]): Promise<void> {
  for (let round = 0; round < 100; round++) {
    if ((await metric(metrics, 'lmqtt_link_streams_total{event="broken"}')) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('the stream was not refused');
}
