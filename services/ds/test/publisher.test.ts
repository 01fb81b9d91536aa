// PUBLISH: who may, what is stored, when it is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import type { Intent } from '../src/queue-store/intents.ts';
import type { LiveSession } from '../src/sessions/live-session.ts';
import { MovedClock, turns } from './moved-clock.ts';
import { packetIdsOf, publishOf, PublisherFixture } from './publisher-fixture.ts';

const takenOver = 0x8e;
const notAuthorized = 0x87;
const quotaExceeded = 0x97;
const unspecified = 0x80;

/** An earlier connection, at another ds, may have stored it. */
function intentOf(session: LiveSession, packetId: number): Intent {
  const { clientId, epoch } = session;
  const place = { topic: 't', broker: 'b', queueId: 0 };
  return { ...{ clientId, epoch, packetId, key: 'k', from: 0 }, place };
}

void test('answers of a session leave in the order of its publishes, others do not wait', () => {
  const at = new PublisherFixture();
  const [first, other] = [at.session('a', 5), at.session('b', 5)];
  at.publish(publishOf(first, 1, 1), publishOf(first, 2, 2, { topic: 'x' }));
  at.publish(publishOf(other, 3, 1));
  const [one, two, three] = at.store.open;
  at.store.answer([two!]);
  assert.deepEqual(at.answers, []);
  at.store.answer([three!]);
  assert.deepEqual(at.answers, ['3 0']);
  at.store.answer([one!]);
  assert.deepEqual(at.answers, ['3 0', '1 0', '2 16']);
});

void test('what is refused at once is answered behind what is stored first', () => {
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  at.publish(publishOf(session, 1, 1), publishOf(session, 2, 1, { topic: 'forbidden/x' }));
  assert.deepEqual(at.answers, []);
  at.store.answerAll();
  assert.deepEqual(at.answers, ['1 0', `2 ${notAuthorized}`]);
  at.publish(publishOf(session, 0, 0, { topic: 'forbidden/x' }));
  assert.deepEqual(
    at.cs.refusedQos0.map(({ reasonCode }) => reasonCode),
    [notAuthorized],
  );
  assert.equal(at.store.came.length, 1);
});

void test('a receipt is stored though its session has ended, and answered when it is', () => {
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  const told = { topic: 'x', clientId: 'a', outcome: 'acknowledged', at: 1, qos: 1 };
  const payload = Buffer.from(JSON.stringify({ to: 'receipts', receipt: told }));
  const message = messageOf({ topic: '$lmqtt/receipt', qos: 1, retain: false, payload });
  at.node.sessions.delete(session.handle);
  at.publish({ session: session.handle, packetId: 0, message, reasonCode: 0 });
  assert.deepEqual(at.answers, []);
  const [put] = at.delays.puts;
  assert.equal(put!.message.topic, 'receipts');
  assert.deepEqual(JSON.parse(put!.message.payload.toString()), told);
  at.delays.answer();
  assert.deepEqual(at.answers, ['0 0']);
  assert.equal(at.store.came.length, 0);
});

void test('a retained message is answered when it is stored and put, whichever is last', () => {
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  at.publish(publishOf(session, 1, 1, { retain: true }), publishOf(session, 2, 1));
  at.store.answerAll();
  assert.deepEqual(at.answers, []);
  at.retained.answer(0);
  assert.deepEqual(at.answers, ['1 0', '2 0']);
  at.publish(publishOf(session, 3, 1, { retain: true }));
  at.store.answerAll();
  at.retained.answer(0, quotaExceeded);
  assert.deepEqual(at.answers.slice(2), [`3 ${quotaExceeded}`]);
});

void test('QoS 0 goes to whoever is there at once, and is stored where the settings say so', () => {
  const passing = new PublisherFixture();
  passing.publish(publishOf(passing.session('a', 5), 0, 0));
  assert.deepEqual([passing.cs.pushed.length, passing.store.came.length], [1, 0]);
  const all = new PublisherFixture({ storesAll: true });
  all.publish(publishOf(all.session('a', 5), 0, 0));
  assert.deepEqual([all.cs.pushed.length, all.store.came[0]!.queues.length], [1, 0]);
  const queued = new PublisherFixture({ queueQos0: true });
  queued.publish(publishOf(queued.session('a', 5), 0, 0));
  assert.deepEqual([queued.cs.pushed.length, queued.store.came[0]!.queues.length], [0, 1]);
  queued.store.answerAll();
  assert.deepEqual(queued.answers, []);
});

void test('QoS 2 that is sent again is stored once, before and after the store has answered', () => {
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  at.publish(publishOf(session, 1, 2));
  at.publish(publishOf(session, 1, 2), publishOf(session, 1, 2));
  assert.equal(at.store.came.length, 1);
  at.store.answerAll();
  assert.deepEqual(at.answers, ['1 0', '1 0', '1 0']);
  at.publish(publishOf(session, 1, 2));
  assert.equal(at.store.came.length, 1);
  assert.equal(at.answers.length, 4);
});

void test('what an earlier connection has on its way goes to the store only if that may not', () => {
  for (const [code, stored] of [
    [0, 1],
    [takenOver, 2],
    [unspecified, 1],
  ] as const) {
    const at = new PublisherFixture();
    const before = at.session('a', 5);
    at.publish(publishOf(before, 1, 2));
    const session = at.again(before);
    at.publish(publishOf(session, 1, 2), publishOf(session, 2, 2));
    assert.deepEqual(packetIdsOf(at.store.came), [1]);
    at.store.answerAll(code);
    assert.deepEqual(packetIdsOf(at.store.came).filter((id) => id === 1).length, stored);
    assert.equal(packetIdsOf(at.store.came).at(-1), 2);
    at.store.answerAll();
    const ours = at.cs.answered.filter((one) => one.session === session.handle);
    assert.deepEqual(
      ours.map(({ packetId }) => packetId),
      [1, 2],
    );
    assert.equal(ours[0]!.reasonCode, code === takenOver ? 0 : code);
  }
});

void test('of an open intent the store is asked until it knows; what follows in the lane waits', async (t) => {
  const clock = MovedClock.holding(t);
  for (const outcome of ['stored', 'not stored'] as const) {
    const at = new PublisherFixture();
    const session = at.session('a', 5);
    session.stored.intents = [intentOf(session, 1)];
    at.publish(publishOf(session, 1, 2), publishOf(session, 2, 2));
    assert.deepEqual(at.store.came, []);
    at.store.asked[0]!.say('unknown');
    await clock.move(99);
    assert.equal(at.store.asked.length, 1);
    await clock.move(1);
    at.store.asked[1]!.say(outcome);
    await turns();
    assert.deepEqual(packetIdsOf(at.store.came), outcome === 'stored' ? [2] : [1, 2]);
    assert.deepEqual(session.stored.intents, []);
    at.store.answerAll();
    assert.deepEqual(at.answers, ['1 0', '2 0']);
  }
});

void test('a session that ends meanwhile is told that it was taken over, and nothing is stored', async (t) => {
  const clock = MovedClock.holding(t);
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  session.stored.intents = [intentOf(session, 1)];
  at.publish(publishOf(session, 1, 2));
  at.node.sessions.delete(session.handle);
  at.store.asked[0]!.say('unknown');
  await clock.move(100);
  assert.deepEqual(at.answers, [`1 ${takenOver}`]);
  assert.equal(at.store.came.length, 0);
  at.publish(publishOf(session, 2, 1));
  assert.deepEqual(at.answers[1], `2 ${takenOver}`);
});

void test('after a failure nothing of an older client is stored; of 5.0 the identifier is free', () => {
  const old = new PublisherFixture();
  const before = old.session('a', 4);
  old.publish(publishOf(before, 1, 2));
  old.store.answerAll(notAuthorized);
  old.publish(publishOf(before, 2, 1));
  assert.deepEqual(old.answers, ['1 131', `2 ${quotaExceeded}`]);
  assert.deepEqual([old.store.came.length, old.store.free], [1, []]);
  const at = new PublisherFixture();
  const session = at.session('a', 5);
  at.publish(publishOf(session, 1, 2));
  at.store.answerAll(notAuthorized);
  at.publish(publishOf(session, 2, 1));
  at.store.answerAll();
  assert.deepEqual(at.answers, [`1 ${notAuthorized}`, '2 0']);
  assert.deepEqual(at.store.free, [1]);
});

void test('PINGRESP waits for retained messages at QoS 0 that are stored', async () => {
  const at = new PublisherFixture({ storesAll: true });
  const session = at.session('a', 5);
  at.publish(publishOf(session, 0, 0, { retain: true }));
  let isSettled = false;
  void session.settling.settled().then(() => (isSettled = true));
  at.store.answerAll();
  await turns();
  assert.equal(isSettled, false);
  at.retained.answer(0);
  await turns();
  assert.equal(isSettled, true);
});
