// Past the lease nothing is done, until ds has answered a question that was asked since.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, sessionHandle } from '@lmqtt/common/ids';
import type { ConnectRequest } from '@lmqtt/proto/link';
import { calls } from '@lmqtt/proto/calls';
import { FakeDs } from './link-fake-ds.ts';
import { linkTo, metric, presentedOf } from './link-fixture.ts';

const connecting: ConnectRequest = {
  session: sessionHandle(9),
  protocolVersion: 5,
  clientId: clientId('new'),
  randomClientId: false,
  cleanStart: true,
  sessionExpiryS: 0,
  keepAliveS: 0,
  userName: undefined,
  password: undefined,
  authenticationMethod: undefined,
  authenticationData: undefined,
  will: undefined,
  peer: { address: '127.0.0.1', port: 1, tls: false },
};

test('renewals carry the lease on', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  const first = link.leaseEndsMs;
  await ds.until('renewals', () => ds.renewals.length >= 5);
  assert.ok(link.leaseEndsMs >= first + 400);
  assert.deepEqual(node.log, ['present', 'presented', 'changed up leased']);
});

test('a lease that ended before any timer ran has ended; what comes late renews nothing', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  ds.held.add('renewals');
  const { node, link, server, clock } = linkTo(t, ds);
  await server.whenAttached;
  await ds.until('a renewal', () => ds.renewals.length === 1);
  // As after SIGSTOP and SIGCONT: its answer is in the socket's buffer.
  ds.exchange.pulse({
    renewed: {
      number: ds.renewals[0]!.number,
      timeMs: Date.now(),
      unconfirmed: false,
      pushesWait: false,
      drain: undefined,
    },
  });
  clock.shiftMs += 10_000;
  assert.ok(link.leaseEndsMs < clock.monotonicMs());
  await node.until('frozen', () => node.changes.some(({ leased }) => !leased));
  assert.ok(link.leaseEndsMs < clock.monotonicMs());
  ds.held.clear();
  await node.until('the lease again', () => node.changes.at(-1)?.leased === true);
  assert.ok(link.leaseEndsMs > clock.monotonicMs());
});

test('an end that nobody was told of is told when the lease begins again', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const { node, link, server, clock } = linkTo(t, ds);
  await server.whenAttached;
  // The next answer finds a lease that has ended: whoever looked meanwhile waits for the change.
  const { length } = ds.renewals;
  await ds.until('a renewal', () => ds.renewals.length > length);
  clock.shiftMs += 700;
  await node.until(
    'both',
    () => node.changes.length >= 3 && link.leaseEndsMs > clock.monotonicMs(),
  );
  assert.deepEqual(
    node.changes.map(({ leased }) => leased),
    [true, false, true],
  );
});

test('without ds the lease ends, and begins when the next one has answered', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  const { node, link, server, metrics } = linkTo(t, ds, {}, [presentedOf(1)]);
  await server.whenAttached;
  ds.held.add('welcome');
  ds.cut();
  await node.until('frozen', () => node.changes.at(-1)?.leased === false);
  assert.equal(link.up, false);
  assert.equal(await metric(metrics, 'lmqtt_link_leases_ended_total'), 1);
  ds.forget();
  ds.held.clear();
  ds.held.add('presents');
  ds.cut();
  await ds.until('the sessions', () => ds.presented.length === 2);
  await ds.until('a renewal since', () => ds.renewals.length >= 2);
  assert.equal(node.changes.at(-1)?.leased, false);
  ds.answerPresents();
  await node.until('the lease again', () => link.up);
  assert.deepEqual(node.changes, [
    { up: true, leased: true },
    { up: false, leased: true },
    { up: false, leased: false },
    { up: true, leased: true },
  ]);
});

test('a claim that outlasts the lease fails and is undone; the rest waits', async (t) => {
  const ds = await FakeDs.start(t, { leaseMs: 600 });
  ds.held.add('calls');
  const { node, link, server } = linkTo(t, ds);
  await server.whenAttached;
  const claim = assert.rejects(link.connect(connecting), /within the lease/);
  const step = assert.rejects(link.reauthenticate(sessionHandle(1), undefined, true), /lease/);
  ds.answerOf.set(calls.unsubscribe.method, () => calls.unsubscribe.answer.encode([0]));
  const unsubscribed = link.unsubscribe(sessionHandle(1), ['a']);
  await ds.until('the calls', () => ds.calls.length === 3);
  ds.held.add('welcome');
  ds.cut();
  await Promise.all([claim, step]);
  await assert.rejects(link.connect(connecting), /within the lease/);
  ds.held.clear();
  ds.cut();
  await ds.until('the session is given back', () => ds.log.at(-1) === 'call disconnect');
  const body = ds.calls.at(-1)!.body;
  const { session, end } = calls.disconnect.request.decode(body);
  assert.equal(session, 9);
  assert.equal(end.publishWill, false);
  await node.until('up', () => link.up);
  ds.forget();
  ds.cut();
  assert.deepEqual(await unsubscribed, [0]);
});
