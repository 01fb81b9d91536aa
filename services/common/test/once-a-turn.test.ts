import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import { nextTurn } from '@lmqtt/common/pause';

void test('work asked for several times in a turn is done once, in the next one', async () => {
  let done = 0;
  const work = new OnceATurn(() => (done += 1));
  work.soon();
  work.soon();
  assert.equal(done, 0);
  await nextTurn();
  assert.equal(done, 1);
  await nextTurn();
  assert.equal(done, 1);
});

void test('work asked for while it runs is done once more', async () => {
  let done = 0;
  const work: OnceATurn = new OnceATurn(() => {
    done += 1;
    if (done < 3) work.soon();
  });
  work.soon();
  for (let turn = 1; turn <= 4; turn++) {
    await nextTurn();
    assert.equal(done, Math.min(turn, 3));
  }
});

void test('work that throws is done again when it is asked for', async (t) => {
  const thrown: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  });
  let done = 0;
  const work = new OnceATurn(() => {
    done += 1;
    if (done === 1) throw new Error('once');
  });
  work.soon();
  await nextTurn();
  work.soon();
  await nextTurn();
  assert.deepEqual([done, thrown.length], [2, 1]);
});
