import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { JournalRefusal } from '../src/journal/failure.ts';
import { LedgerStore, openJournal, scratchDirectory } from './journal-ledger.ts';

void test('what was committed is there after a restart, in order', async (t) => {
  const directory = scratchDirectory(t);
  const first = await openJournal({ directory });
  for (let i = 0; i < 100; i++) first.store.set(`key ${i % 10}`, i);
  await first.journal.durable();
  const before = first.store.content();
  await first.journal.close();
  const second = await openJournal({ directory });
  assert.deepEqual(second.store.content(), before);
  await second.journal.close();
});

void test('records between checkpoints are replayed over the entries', async (t) => {
  const directory = scratchDirectory(t);
  let expected = new Map<string, number>();
  for (let round = 0; round < 6; round++) {
    const { journal, store } = await openJournal({ directory, segmentBytes: 2000 });
    assert.deepEqual(store.content(), expected, `round ${round}`);
    for (let i = 0; i < 50; i++) {
      store.set(`key ${(i * 7 + round) % 23}`, round * 1000 + i);
      if (i % 9 === 0) store.remove(`key ${i % 23}`);
      if (i % 20 === 10) void journal.checkpoint();
      if (i % 3 === 0) await journal.durable();
    }
    await journal.durable();
    if (round % 2 === 0) await journal.checkpoint();
    for (let i = 0; i < 20; i++) store.set(`late ${i}`, round);
    expected = store.content();
    await journal.close();
  }
});

void test('callbacks come in order, never within commit, and records of one turn stay together', async (t) => {
  const { journal, store } = await openJournal({ directory: scratchDirectory(t) });
  const seen: number[] = [];
  for (let i = 0; i < 200; i++) {
    if (i % 3 !== 0) store.set(`key ${i}`, i);
    let within = true;
    journal.commit((failure) => {
      assert.equal(failure, undefined);
      assert.equal(within, false);
      seen.push(i);
    });
    within = false;
    if (i % 50 === 0) await journal.durable();
  }
  await journal.durable();
  assert.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, i) => i),
  );
  await journal.close();
});

void test('what nobody commits is written after a while', async (t) => {
  const directory = scratchDirectory(t);
  let records = 0;
  const { journal, store } = await openJournal({
    directory,
    lazyMs: 5,
    onEvent: (event) => {
      if (event.kind === 'written') records += event.records;
    },
  });
  store.set('a', 1);
  store.set('b', 2);
  for (let i = 0; i < 100 && records < 2; i++) await new Promise((done) => setTimeout(done, 5));
  assert.equal(records, 2);
  await journal.close();
});

void test('a record larger than a segment', async (t) => {
  const directory = scratchDirectory(t);
  const first = await openJournal({ directory, segmentBytes: 4096 });
  const name = 'x'.repeat(3_000_000);
  first.store.set('small', 1);
  first.store.set(name, 2);
  first.store.set('after', 3);
  await first.journal.durable();
  await first.journal.abandon();
  const second = await openJournal({ directory });
  assert.equal(second.store.get(name), 2);
  assert.equal(second.store.get('after'), 3);
  await second.journal.close();
});

void test('the folder is refused to a second journal, and free after close', async (t) => {
  const directory = scratchDirectory(t);
  const first = await openJournal({ directory });
  await assert.rejects(openJournal({ directory }), (error) => {
    assert.ok(error instanceof JournalRefusal);
    assert.equal(error.why, 'in use');
    assert.match(error.message, new RegExp(String(process.pid)));
    return true;
  });
  await first.journal.close();
  const second = await openJournal({ directory });
  await second.journal.close();
});

void test('broker time goes on where it stopped, order keys past what was given', async (t) => {
  const directory = scratchDirectory(t);
  const first = await openJournal({ directory });
  await new Promise((done) => setTimeout(done, 60));
  const order = [first.journal.nextOrder(), first.journal.nextOrder()];
  assert.ok((order[1] ?? 0) > (order[0] ?? 0));
  const before = first.journal.brokerTimeMs();
  assert.ok(before >= 55);
  first.store.set('a', 1);
  await first.journal.durable();
  await first.journal.abandon();
  await new Promise((done) => setTimeout(done, 150));
  const second = await openJournal({ directory });
  const after = second.journal.brokerTimeMs();
  assert.ok(after >= before && after < before + 140, `${before} ${after}`);
  assert.ok(second.journal.nextOrder() > (order[1] ?? 0));
  await second.journal.close();
});

void test('broker time is never 0, which stands for no time', async (t) => {
  t.mock.method(systemClock, 'monotonicMs', () => 1000);
  const { journal } = await openJournal({ directory: scratchDirectory(t) });
  assert.equal(journal.brokerTimeMs(), 1);
  await journal.close();
});

void test('back-pressure: past twice the limit appends are refused until the disk has written them', async (t) => {
  const { journal, store } = await openJournal({
    directory: scratchDirectory(t),
    pendingAppendBytesMax: 10_000,
  });
  assert.equal(journal.refusal, 0);
  for (let i = 0; i < 300; i++) store.set(`key ${i} ${'x'.repeat(50)}`, i);
  assert.equal(journal.refusal, 0x97);
  await journal.durable();
  assert.equal(journal.refusal, 0);
  await journal.close();
});

void test('many entries go through a checkpoint in portions', async (t) => {
  const directory = scratchDirectory(t);
  const { journal, store } = await openJournal({ directory });
  const count = 100_000;
  for (let i = 0; i < count; i++) store.set(`key ${i}`, i);
  await journal.durable();
  let longest = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await journal.checkpoint();
  clearInterval(watch);
  assert.ok(longest < 500, `the loop stood still for ${Math.round(longest)} ms`);
  await journal.close();
  const again = await openJournal({ directory });
  assert.equal(again.store.content().size, count);
  await again.journal.close();
});

void test('records of a type that nobody knows are refused', async (t) => {
  const directory = scratchDirectory(t);
  const first = await openJournal({ directory });
  first.journal.add(77, Buffer.from('?'));
  await first.journal.durable();
  await first.journal.abandon();
  await assert.rejects(
    openJournal({ directory }),
    (error) => error instanceof JournalRefusal && error.why === 'version',
  );
});

void test('a store reads back what it wrote only through its own table', async (t) => {
  const directory = scratchDirectory(t);
  const a = new LedgerStore('one', 101);
  const b = new LedgerStore('two', 102);
  const first = await openJournal({ directory }, [a, b]);
  a.set('x', 1);
  b.set('x', 2);
  await first.journal.close();
  const a2 = new LedgerStore('one', 101);
  const b2 = new LedgerStore('two', 102);
  const second = await openJournal({ directory }, [a2, b2]);
  assert.deepEqual([a2.get('x'), b2.get('x')], [1, 2]);
  await second.journal.close();
});
