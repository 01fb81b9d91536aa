import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchClock } from '../src/clock-watch.ts';

void test('a wall clock that jumps is told once, one that is adjusted is not', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let wallMs = 1_000_000;
  let monotonicMs = 0;
  const jumps: number[] = [];
  const clock = { nowMs: () => wallMs, monotonicMs: () => monotonicMs };
  const stop = watchClock(clock, (jumpedMs) => jumps.push(jumpedMs));
  const pass = (ms: number, wallBesidesMs = 0): void => {
    monotonicMs += ms;
    wallMs += ms + wallBesidesMs;
    t.mock.timers.tick(1000);
  };
  pass(1000);
  pass(1000, 300);
  // The process stood still.
  pass(60_000);
  assert.deepEqual(jumps, []);
  pass(1000, 8 * 86_400_000);
  pass(1000);
  pass(1000, -8 * 86_400_000);
  pass(1000);
  assert.deepEqual(jumps, [8 * 86_400_000, -8 * 86_400_000]);
  stop();
  pass(1000, 86_400_000);
  assert.equal(jumps.length, 2);
});
