// A SUBSCRIBE that comes to nothing: what is left of it in the registry.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueName } from '@lmqtt/common/ids';
import { OpeningBench } from './opening-bench.ts';

void test('a connection that ends while its SUBSCRIBE is under way leaves no interest', async () => {
  for (const expiryS of [0, 600]) {
    const bench = new OpeningBench();
    const session = bench.session(expiryS);
    bench.queueStore.onEnds = () => session.close();
    await bench.subscribe(session, 'a');
    assert.equal(bench.calls.at(-1), 'uninterested cs-1');
    assert.equal(bench.routes.named(queueName('a'))?.pins, 0);
  }
});

void test('a SUBSCRIBE that fails leaves no interest', async () => {
  const refused = new OpeningBench();
  refused.stores = false;
  const [answer] = await refused.subscribe(refused.session(600), 'a');
  assert.equal(answer?.kind, 'refused');
  assert.equal(refused.calls.at(-1), 'uninterested cs-1');
  const failing = new OpeningBench();
  failing.queueStore.onEnds = () => {
    throw new Error('no ends');
  };
  await failing.subscribe(failing.session(0), 'a');
  assert.equal(failing.calls.at(-1), 'uninterested cs-1');
});

void test('interest stays where another session of the cs has it, and where SUBSCRIBE succeeds', async () => {
  const bench = new OpeningBench();
  const other = bench.session(600);
  const [answer] = await bench.subscribe(other, 'a');
  assert.equal(answer?.kind, 'granted');
  const session = bench.session(600);
  bench.queueStore.onEnds = () => session.close();
  await bench.subscribe(session, 'a');
  assert.ok(!bench.calls.includes('uninterested cs-1'));
  bench.end(other);
  assert.ok(bench.calls.includes('uninterested cs-1'));
});
