// The queue of a client, opened with its session: what that asks of the stores.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueName } from '@lmqtt/common/ids';
import { OpeningBench } from './opening-bench.ts';

void test('pushes begin before the ends are read, of which the first offsets are not asked', async () => {
  const bench = new OpeningBench();
  const session = bench.session(600);
  await bench.open(session);
  assert.deepEqual(bench.calls, ['open c cs-1', 'open - cs-1', 'ends without first', 'subscribe']);
  const [own] = session.stored.subscriptions;
  assert.deepEqual(
    own?.cursors.map(({ partition, position }) => [partition, position]),
    [[0, 7]],
  );
  assert.equal(bench.routes.named(queueName('$p2p/c'))?.pins, 0);
});

void test('a session that outlives its connection releases its queue, another was no holder', async () => {
  for (const [expiryS, calls] of [
    [600, ['uninterested cs-1', 'release c']],
    [0, ['uninterested cs-1']],
  ] as const) {
    const bench = new OpeningBench();
    const session = bench.session(expiryS);
    await bench.open(session);
    bench.calls.splice(0);
    bench.end(session);
    assert.deepEqual(bench.calls, calls);
  }
});

void test('where the subscription is not stored, or its connection ends, nothing is wanted', async () => {
  const failing = new OpeningBench();
  failing.stores = false;
  await failing.open(failing.session(0));
  assert.equal(failing.calls.at(-1), 'uninterested cs-1');
  const closing = new OpeningBench();
  const session = closing.session(0);
  closing.queueStore.onEnds = () => session.close();
  await closing.open(session);
  assert.equal(closing.calls.at(-1), 'uninterested cs-1');
  const gone = new OpeningBench();
  const early = gone.session(0);
  early.close();
  await gone.open(early);
  assert.equal(gone.calls.at(-1), 'uninterested cs-1');
});
