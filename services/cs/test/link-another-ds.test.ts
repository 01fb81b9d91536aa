// A ds that does not know this node: another process, or one that has judged its lease.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, queueId, sessionHandle } from '@lmqtt/common/ids';
import type { ConnectRequest } from '@lmqtt/proto/link';
import { calls } from '@lmqtt/proto/calls';
import { FakeDs } from './link-fake-ds.ts';
import { linkTo, presentedOf, publishOf } from './link-fixture.ts';

const one = sessionHandle(1);
const two = sessionHandle(2);
const end = { publishWill: true, sessionExpiryS: undefined, reason: 'connection lost' };
const request = { queue: queueId(5), partition: 0, from: 7, messagesMax: 10, bytesMax: 99 };
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

test('what waits reaches the next ds after the sessions, in its order; reads and claims do not', async (t) => {
  const ds = await FakeDs.start(t);
  ds.answerOf.set(calls.subscribe.method, () => calls.subscribe.answer.encode([]));
  const { node, link, server } = linkTo(t, ds, {}, [presentedOf(1)]);
  await server.whenAttached;
  for (const what of ['publishes', 'writes', 'calls', 'presents'] as const) ds.held.add(what);
  const came: string[] = [];
  const note = (what: string) => () => {
    came.push(what);
    node.log.push(what);
  };
  link.publish([publishOf('a')]);
  const subscribed = link.subscribe(one, []).then(note('subscribed'));
  link.publish([publishOf('b'), publishOf('zero', 0), publishOf('c', 2)]);
  link.write([{ kind: 'inbound-done', session: one, packetId: 3 }], note('durable'));
  const disconnected = link.disconnect(two, end).then(note('disconnected'));
  const read = assert.rejects(link.read(request), /another ds/).then(note('read again'));
  const claim = assert.rejects(link.connect(connecting), /another ds/).then(note('claim failed'));
  await ds.until('all of it', () => ds.log.includes('call connect'));
  assert.deepEqual(ds.log, [
    'presents 1 last',
    'publish a',
    'call subscribe',
    'publish b',
    'publish zero',
    'publish c',
    'writes inbound-done',
    'call disconnect',
    'read',
    'call connect',
  ]);

  ds.log.length = 0;
  ds.forget();
  ds.cut();
  await ds.until('the sessions', () => ds.log.includes('presents 1 last'));
  await claim;
  assert.deepEqual(came, ['claim failed']);
  assert.equal(link.up, false);
  // While ds makes up its mind: it waits too, and this write is not in what was presented.
  link.publish([publishOf('d')]);
  link.write([{ kind: 'released', session: one, packetId: 4 }], note('durable later'));
  link.credit(one, 500);
  ds.held.clear();
  node.onPresented = () => link.credit(one, 7);
  node.log.length = 0;
  ds.answerPresents();
  await Promise.all([subscribed, disconnected, read]);
  await node.until('the answers', () => node.answers.length === 4);
  assert.deepEqual(ds.log, [
    'presents 1 last',
    'publish a',
    'call subscribe',
    'publish b',
    'publish c',
    'call disconnect',
    'publish d',
    'writes released',
    'credit 1 7',
  ]);
  assert.deepEqual(node.log.slice(0, 3), ['presented', 'durable', 'changed up leased']);
  assert.ok(came.includes('durable later'));
  assert.deepEqual(
    node.answers.map(({ message }) => message.payload.toString()),
    ['a', 'b', 'c', 'd'],
  );
});

test('what refused sessions had waiting ends, and is not sent', async (t) => {
  const ds = await FakeDs.start(t);
  const { node, link, server } = linkTo(t, ds, {}, [presentedOf(1), presentedOf(2)]);
  await server.whenAttached;
  ds.held.add('publishes');
  link.publish([publishOf('mine'), publishOf('taken', 1, 2), publishOf('mine too')]);
  await ds.until('publishes', () => ds.publishes.length === 3);
  ds.log.length = 0;
  ds.held.clear();
  ds.refusals = [{ session: two, reasonCode: 0x8e }];
  node.onPresented = () => void link.disconnect(two, end);
  ds.forget();
  ds.cut();
  await node.until('the answers', () => node.answers.length === 3);
  assert.deepEqual(
    node.log.filter((line) => /^p(ubl|resented )/.test(line)),
    ['presented 2', 'published taken:142', 'published mine:0', 'published mine too:0'],
  );
  assert.deepEqual(ds.log, [
    'presents 2 last',
    'publish mine',
    'publish mine too',
    'call disconnect',
  ]);
});

test('a ds that goes while it is asked: the next one is presented what is so then', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('presents');
  const { node, link, server } = linkTo(t, ds, {}, [presentedOf(1)]);
  await ds.until('the sessions', () => ds.log.length === 1);
  let durable = 0;
  link.write([{ kind: 'released', session: one, packetId: 4 }], () => (durable += 1));
  link.publish([publishOf('a')]);
  node.sessions = [presentedOf(1), presentedOf(3)];
  ds.forget();
  ds.cut();
  await ds.until('the sessions', () => ds.log.length === 2);
  ds.held.clear();
  ds.answerPresents();
  await server.whenAttached;
  await node.until('the answer', () => node.answers.length === 1);
  assert.equal(durable, 1);
  assert.deepEqual(ds.log, ['presents 1 last', 'presents 2 last', 'publish a']);
});

test('a stream that breaks while ds is asked is taken up again: it is asked once', async (t) => {
  const ds = await FakeDs.start(t);
  ds.held.add('presents');
  const { node, server } = linkTo(t, ds, {}, [presentedOf(1)]);
  await ds.until('the sessions', () => ds.log.length === 1);
  ds.cut();
  await ds.until('another stream', () => ds.streams === 2);
  ds.answerPresents();
  await server.whenAttached;
  assert.deepEqual(node.log, ['present', 'presented', 'changed up leased']);
  assert.equal(ds.presented.length, 1);
});
