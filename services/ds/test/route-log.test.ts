// The log of routes of a ds over a registry in memory: what it is told, and when subscribes go on.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { nodeId } from '@lmqtt/common/ids';
import { MovedClock, turns } from './moved-clock.ts';
import { openingOf, RouteFixture } from './route-fixture.ts';

async function fixtureOf(t: TestContext): Promise<RouteFixture> {
  const at = new RouteFixture(MovedClock.holding(t));
  t.after(() => at.close());
  await at.start();
  return at;
}

/** Whether it is resolved by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), turns(8).then(() => false)]);
}

const changesOf = (called: readonly string[]): number =>
  called.filter((name) => name === 'change').length;

void test('an opening resolves when every ds that serves has applied it', async (t) => {
  const at = await fixtureOf(t);
  const [one, two] = at.all;
  const opened = one!.open('a', 'cs-1');
  assert.equal(await isDone(opened), false);
  assert.equal(one!.queues.size, 1);
  two!.connection.hear(10);
  await turns(8);
  assert.equal(two!.queues.size, 1);
  assert.equal(await isDone(opened), false);
  one!.connection.hear(10);
  assert.deepEqual(await opened, [1]);
  for (const ds of at.all) ds.check();
});

void test('a report that is lost is asked for', async (t) => {
  const at = await fixtureOf(t);
  const [one, two] = at.all;
  const opened = one!.open('a', 'cs-1');
  await turns(8);
  two!.connection.hear(10);
  await turns(8);
  one!.connection.words.length = 0;
  assert.equal(await isDone(opened), false);
  await at.clock.move(250);
  assert.equal(await isDone(opened), true);
});

void test('a word that is lost is made good by the next, by a report and by the subscriber', async (t) => {
  for (const how of ['next', 'report', 'gap'] as const) {
    const at = await fixtureOf(t);
    const [one, two] = at.all;
    void one!.open('a', 'cs-1').catch(() => undefined);
    await turns(8);
    if (how === 'gap') two!.connection.lose();
    else two!.connection.words.length = 0;
    if (how === 'next') void one!.open('b', 'cs-1').catch(() => undefined);
    else if (how === 'report') void two!.open('c', 'cs-2').catch(() => undefined);
    await at.quiet();
    assert.ok(
      [...two!.queues.values()].some((name) => name === 'a'),
      how,
    );
    for (const ds of at.all) ds.check();
    at.close();
  }
});

void test('what is known and routed costs no request; what has ended does', async (t) => {
  const at = await fixtureOf(t);
  const [one] = at.all;
  const first = one!.open('a', 'cs-1');
  await at.quiet();
  const [queue] = await first;
  const before = changesOf(one!.connection.called);
  assert.deepEqual(await one!.open('a', 'cs-1'), [queue]);
  assert.equal(changesOf(one!.connection.called), before);
  one!.log.uninterested(queue!, nodeId('cs-1'));
  const again = one!.open('a', 'cs-1');
  await at.quiet();
  assert.deepEqual(await again, [queue]);
  assert.equal(changesOf(one!.connection.called), before + 1);
  assert.equal(one!.interest.size, 1);
  for (const ds of at.all) ds.check();
});

void test('openings of one turn are one request, answered in their order', async (t) => {
  const at = await fixtureOf(t);
  const [one] = at.all;
  const before = changesOf(one!.connection.called);
  const all = ['c', 'a', 'b', 'a'].map((name) => openingOf(name, 'cs-1'));
  const opened = one!.log.open(all);
  const other = one!.open('d', 'cs-1');
  await at.quiet();
  assert.deepEqual(await opened, [1, 2, 3, 2]);
  assert.deepEqual(await other, [4]);
  assert.equal(changesOf(one!.connection.called), before + 1);
});

void test('a request is sent again until it is answered, and does no more for that', async (t) => {
  const at = await fixtureOf(t);
  const [one] = at.all;
  one!.connection.fates.push('lost', 'unanswered');
  const opened = one!.open('a', 'cs-1', 'client');
  await at.quiet();
  assert.deepEqual(await opened, [1]);
  assert.equal(at.registry.holders.size, 1);
  for (const ds of at.all) ds.check();
});

void test('an opening that nobody answers in time fails, and its interest is taken back', async (t) => {
  const at = await fixtureOf(t);
  const [one] = at.all;
  one!.connection.fates.push('unanswered', ...Array.from({ length: 400 }, () => 'lost' as const));
  const opened = one!.open('a', 'cs-1');
  const refused = assert.rejects(opened, /not answered in time/);
  await at.clock.move(8200);
  await refused;
  one!.connection.fates.length = 0;
  await at.quiet();
  assert.equal(one!.interest.size, 0);
  for (const ds of at.all) ds.check();
});

void test('where the log was trimmed all routes are read anew, and told in one turn', async (t) => {
  const at = await fixtureOf(t);
  const [one, two] = at.all;
  for (const name of ['a', 'b', 'c']) {
    void one!.open(name, 'cs-1').catch(() => undefined);
    await turns(8);
  }
  two!.connection.words.length = 0;
  at.registry.trim();
  const resets = two!.resets;
  two!.connection.lose();
  await at.quiet();
  assert.equal(two!.resets, resets + 1);
  for (const ds of at.all) ds.check();
});

void test('a reading of all routes that fails is begun again, by whatever comes next', async (t) => {
  const at = await fixtureOf(t);
  const [one, two] = at.all;
  for (const name of ['a', 'b', 'c']) {
    void one!.open(name, 'cs-1').catch(() => undefined);
    await turns(8);
  }
  two!.connection.words.length = 0;
  at.registry.trim();
  two!.connection.fates.push('answered', 'lost');
  two!.connection.lose();
  await turns(8);
  assert.equal(two!.queues.size, 0);
  at.renew();
  await at.quiet();
  for (const ds of at.all) ds.check();
});

void test('who waits for all to be applied leaves room for the repair that it takes', async (t) => {
  const at = await fixtureOf(t);
  const [one] = at.all;
  const opened = one!.open('a', 'cs-1');
  await at.quiet();
  await opened;
  // Another life: until all of it is loaded, nothing is applied.
  at.registry.life = 'life-2';
  for (const { connection } of at.all)
    connection.fates.push(...Array.from({ length: 9 }, () => 'lost' as const));
  for (const { member } of at.all) member.refused('lost');
  one!.member.applied = 0;
  const settled = one!.log.settled();
  assert.equal(await isDone(settled), false);
  for (const { connection } of at.all) connection.fates.length = 0;
  for (let n = 0; n < 4; n += 1) await at.quiet();
  await settled;
});

void test('after a loss each tells what it holds before any is told anew; nothing is opened meanwhile', async (t) => {
  const at = await fixtureOf(t);
  const [one, two] = at.all;
  for (const ds of at.all) {
    const opened = ds.open(`of ${ds.id}`, `cs-${ds.id}`);
    await at.quiet();
    const [queue] = await opened;
    ds.held.push({ ...openingOf(`of ${ds.id}`, `cs-${ds.id}`), queue: queue! });
  }
  at.registry.life = 'life-2';
  at.registry.queues.clear();
  at.registry.pairs.clear();
  at.registry.applied.clear();
  const resets = one!.resets;
  const opened = one!.open('new', 'cs-1');
  await turns(40);
  await at.clock.move(100);
  assert.equal(one!.resets, resets);
  assert.equal(await isDone(opened), false);
  assert.notEqual(at.registry.idOf(`of ${one!.id}`), undefined);
  assert.equal(at.registry.idOf('new'), undefined);
  void two!.log.settled().catch(() => undefined);
  two!.member.refused('lost');
  for (let n = 0; n < 4; n += 1) await at.quiet();
  assert.equal((await opened).length, 1);
  assert.deepEqual([one!.resets, two!.resets], [resets + 1, resets + 1]);
  assert.equal(at.registry.queues.size, 3);
  for (const ds of at.all) ds.check();
});
