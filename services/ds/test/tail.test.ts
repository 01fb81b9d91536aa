// One ordinary queue, read at a broker that answers as the test says.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { MovedClock, turns } from './moved-clock.ts';
import { TailFixture } from './tail-fixture.ts';

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `${from + n}`);

function fixtureOf(t: TestContext, stored = 0, position = 0, pullsMax = 4): TailFixture {
  const fixture = new TailFixture(MovedClock.holding(t), position, pullsMax);
  for (const text of texts(0, stored)) fixture.queue.store(text);
  t.after(() => fixture.tail.stop());
  return fixture;
}

void test('a tail asks ahead, and tells in the order of the offsets whatever comes first', async (t) => {
  const fixture = fixtureOf(t, 320);
  const { queue, tail } = fixture;
  queue.answer(0);
  await turns();
  assert.equal(tail.position, 32);
  assert.deepEqual(
    queue.asked.map(({ request }) => request.offset),
    [32, 64, 96, 128],
  );
  for (const at of [3, 2, 1]) queue.answer(at);
  await turns();
  assert.deepEqual(fixture.told, texts(0, 32));
  queue.answer(0);
  await turns();
  assert.deepEqual(fixture.told, texts(0, 160));
  await fixture.answerAll();
  assert.deepEqual(fixture.told, texts(0, 320));
  assert.equal(tail.lag, 0);
  assert.equal(queue.movedTo, 320);
});

void test('a range that a broker answers in pieces is asked for to its end', async (t) => {
  const fixture = fixtureOf(t, 40);
  const { queue } = fixture;
  queue.answer(0, 5);
  await turns();
  assert.deepEqual(fixture.told, []);
  assert.equal(queue.asked.find(({ request }) => request.offset === 5)?.request.messagesMax, 27);
  await fixture.answerAll();
  assert.deepEqual(fixture.told, texts(0, 40));
});

void test('one pull waits at the end, and one beside it asks once more a little later', async (t) => {
  const fixture = fixtureOf(t);
  const { queue, clock } = fixture;
  assert.equal(queue.asked.length, 1);
  assert.equal(queue.asked[0]!.request.suspendMs, 15_000);
  await clock.move(25);
  assert.deepEqual(
    queue.asked.map(({ request }) => request.suspendMs),
    [15_000, 0],
  );
  queue.store('x');
  queue.answer(1);
  await turns();
  queue.answer(0);
  await turns();
  assert.deepEqual(fixture.told, ['x']);
});

void test('of two pulls for the same, the answer that comes second counts for nothing', async (t) => {
  const fixture = fixtureOf(t);
  const { queue, clock } = fixture;
  await clock.move(25);
  for (const text of texts(0, 3)) queue.store(text);
  queue.answer(1, 1);
  queue.answer(0);
  await fixture.answerAll();
  assert.deepEqual(fixture.told, texts(0, 3));
});

void test('what a broker that filters gives past a range is told with the next range', async (t) => {
  const fixture = fixtureOf(t, 32);
  const { queue } = fixture;
  for (const text of texts(32, 140)) queue.store(text, Number(text) < 50);
  queue.answer(0);
  await turns();
  assert.equal(queue.asked.length, 4);
  await fixture.answerAll();
  assert.deepEqual(fixture.told, [...texts(0, 32), ...texts(50, 140)]);
});

void test('a pull that fails is asked again from the position, and said only of a broker that is there', async (t) => {
  const fixture = fixtureOf(t, 64);
  const { queue, clock } = fixture;
  queue.answer(0);
  await turns();
  queue.fail(0);
  assert.deepEqual(fixture.failures, ['no answer']);
  await clock.move(199);
  assert.equal(queue.asked.length, 0);
  await clock.move(1);
  assert.equal(queue.asked[0]!.request.offset, 32);
  queue.broker.answers = false;
  queue.cut();
  assert.equal(fixture.failures.length, 1);
  await clock.move(1000);
  assert.equal(queue.asked.length, 0);
  queue.up = true;
  await clock.move(200);
  await fixture.answerAll();
  assert.deepEqual(fixture.told, texts(0, 64));
});

void test('a broker that came back with less is read again from what it may have lost', async (t) => {
  const fixture = fixtureOf(t, 100);
  const { queue, clock } = fixture;
  await fixture.answerAll();
  await clock.move(120_000);
  for (const text of texts(100, 110)) queue.store(text);
  await fixture.answerAll();
  queue.cut();
  queue.kept.length = 105;
  queue.up = true;
  await clock.move(200);
  queue.answer(0);
  await turns();
  assert.deepEqual(fixture.moves, ['moved back 110 100']);
  queue.store('anew');
  await fixture.answerAll();
  assert.deepEqual(fixture.told.slice(110), [...texts(100, 105), 'anew']);
});

void test('what a broker has removed is passed over', async (t) => {
  const fixture = fixtureOf(t, 100, 20);
  const { queue } = fixture;
  queue.min = 50;
  await fixture.answerAll();
  assert.deepEqual(fixture.moves, ['moved on 20 50']);
  assert.deepEqual(fixture.told, texts(50, 100));
});

void test('what other queues miss is stored there before it is told; second copies are not told', async (t) => {
  const fixture = fixtureOf(t, 3);
  fixture.missed.add('1');
  fixture.copies.add('2');
  let stored: () => void = () => undefined;
  fixture.sendOn = () => new Promise((resolve) => (stored = resolve));
  fixture.queue.answer(0);
  await turns();
  assert.deepEqual(fixture.told, []);
  assert.equal(fixture.tail.position, 0);
  stored();
  await turns();
  assert.deepEqual(fixture.sentOn, ['1']);
  assert.deepEqual(fixture.told, ['0', '1']);
  assert.equal(fixture.tail.position, 3);
});

void test('ranges are sent on at once, and each is told behind those before it', async (t) => {
  const fixture = fixtureOf(t, 96);
  const { queue, tail } = fixture;
  for (const text of ['1', '40', '70']) fixture.missed.add(text);
  const stored: (() => void)[] = [];
  fixture.sendOn = () => new Promise((resolve) => stored.push(resolve));
  await fixture.answerAll();
  assert.equal(stored.length, 3);
  stored[1]!();
  await turns();
  assert.equal(tail.position, 0);
  assert.equal(queue.asked.length, 0, 'more gathers meanwhile');
  stored[0]!();
  await turns();
  assert.equal(tail.position, 64);
  stored[2]!();
  await turns();
  assert.deepEqual(fixture.told, texts(0, 96));
  assert.deepEqual(fixture.sentOn, ['40', '1', '70']);
});

void test('nothing is read again before all that was to be sent on is answered', async (t) => {
  const fixture = fixtureOf(t, 64);
  const { queue, clock } = fixture;
  for (const text of ['1', '40']) fixture.missed.add(text);
  const sends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  fixture.sendOn = () => new Promise((resolve, reject) => sends.push({ resolve, reject }));
  for (let n = 0; n < 2; n += 1) {
    queue.answer(0);
    await turns();
  }
  queue.asked.length = 0;
  sends[0]!.reject(new Error('refused'));
  await turns();
  assert.deepEqual(fixture.failures, ['refused']);
  await clock.move(600);
  assert.equal(queue.asked.length, 0);
  sends[1]!.resolve();
  fixture.sendOn = () => Promise.resolve();
  await clock.move(400);
  await fixture.answerAll();
  assert.deepEqual(fixture.told, texts(0, 64));
});

void test('under load the next pull waits for messages to gather', async (t) => {
  const fixture = fixtureOf(t, 1);
  const { queue, clock } = fixture;
  fixture.gatherMs = 10;
  queue.answer(0);
  await turns();
  assert.equal(queue.asked.length, 0);
  await clock.move(10);
  assert.equal(queue.asked.length, 1);
});

void test('a tail that was stopped tells nothing, whatever is answered then', async (t) => {
  const fixture = fixtureOf(t, 64);
  fixture.tail.stop();
  await fixture.answerAll();
  await fixture.clock.move(1000);
  assert.deepEqual(fixture.told, []);
  assert.equal(fixture.queue.asked.length, 0);
});
