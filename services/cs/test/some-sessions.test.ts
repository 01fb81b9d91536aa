// A node whose sessions live at several ds: what one of them is asked leaves the others as they
// are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { startNode, turns } from './node-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

const ofFirst = (session: SessionHandle): boolean => session === 1;

test('sessions of one ds are presented; only those go on anew with its answer', async (t) => {
  const { ds, connect } = startNode(t);
  for (const [client, queue] of [
    ['a', 1],
    ['b', 2],
  ] as const)
    ds.states.set(client, {
      subscriptions: [subscriptionState('t', queue, queue, { position: 0, done: [] })],
      outbound: [],
      inbound: [],
    });
  for (const client of ['a', 'b'])
    await connect(client, { clean: false, properties: { sessionExpiryInterval: 60 } });
  await turns();
  ds.answers = false;
  const presented = [...ds.node.present(ofFirst)];
  assert.deepEqual(
    presented.map(({ clientId }) => clientId),
    ['a'],
  );
  assert.equal(ds.reads.length, 0);
  ds.node.presented([], ofFirst);
  await turns();
  assert.deepEqual(
    ds.reads.map(({ request }) => request.queue),
    [queueId(1)],
  );
});

test('one that has ended is presented where it lived', async (t) => {
  const { ds, connect } = startNode(t);
  const [a] = [await connect('a'), await connect('b')];
  ds.answers = false;
  a.lose();
  await turns();
  const of = (session: number): (string | undefined)[] =>
    [...ds.node.present((each) => each === sessionHandle(session))].map(({ end }) => end?.reason);
  assert.deepEqual(of(1), ['connection lost']);
  assert.deepEqual(of(2), [undefined]);
});

test('a session is presented as it is when it is taken', async (t) => {
  const { ds, connect } = startNode(t);
  const [, b, c] = [await connect('a'), await connect('b'), await connect('c')];
  await turns();
  ds.answers = false;
  const sessions = ds.node.present();
  assert.equal(sessions.length, 3);
  const taken = sessions[Symbol.iterator]();
  taken.next();
  b.lose();
  await turns();
  const { value } = taken.next();
  assert.deepEqual([value?.clientId, value?.end?.reason], ['b', 'connection lost']);
  const about = { topic: 't', payload: 'x', qos: 2, dup: false, retain: false } as const;
  c.send({ cmd: 'publish', messageId: 7, ...about });
  await turns();
  assert.deepEqual(taken.next().value?.storing, [7]);
  assert.equal(taken.next().done, true);
});

test('ds is told of a client that leaves in the midst of its authentication', async (t) => {
  const { ds, connect } = startNode(t);
  ds.answers = false;
  const properties = { authenticationMethod: 'SCRAM-SHA-256' };
  const [waiting, asked] = [await connect('a', { properties }), await connect('b', { properties })];
  const answer = { kind: 'continue', authenticationData: undefined } as const;
  ds.connects[1]!.resolve(answer);
  await turns();
  assert.deepEqual(asked.took(), ['auth']);
  asked.lose();
  assert.deepEqual(
    ds.disconnects.map(({ request }) => request.session),
    [2],
  );
  // At once, so that ds leaves out a check that nobody waits for; and again when it has answered,
  // since it may have taken the client in before.
  waiting.lose();
  assert.equal(ds.disconnects.length, 2);
  ds.connects[0]!.resolve(answer);
  await turns();
  assert.deepEqual(
    ds.disconnects.map(({ request }) => request.session),
    [2, 1, 1],
  );
});
