import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendLoad } from '../src/queue-store/rocketmq/send-load.ts';

function loaded(options: { waiting: number; sent: number; tookMs: number }): SendLoad {
  const load = new SendLoad();
  for (let count = 0; count < 1000; count += 1) load.stored(options.tookMs);
  for (let count = 0; count < options.sent; count += 1) load.sent();
  for (let count = 0; count < options.sent + options.waiting; count += 1) load.appended();
  return load;
}

void test('answers are told at once where nothing is sent, or nothing waits behind what is', () => {
  assert.equal(loaded({ waiting: 10, sent: 0, tookMs: 5 }).gatherMs, 0);
  assert.equal(loaded({ waiting: 0, sent: 10, tookMs: 5 }).gatherMs, 0);
});

void test('answers gather for half the time in which what waits will be stored, 8 ms at the most', () => {
  const load = loaded({ waiting: 8, sent: 1, tookMs: 1.01 });
  assert.equal(load.gatherMs, 4);
  load.answered();
  load.released();
  load.sent();
  load.released();
  assert.equal(load.gatherMs, 3);
  assert.equal(loaded({ waiting: 63, sent: 1, tookMs: 1.01 }).gatherMs, 8);
});

void test('a broker that has long to do is not waited for: its answers gather a little', () => {
  assert.equal(loaded({ waiting: 0, sent: 640, tookMs: 70.1 }).gatherMs, 7);
});
