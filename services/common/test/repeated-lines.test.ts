import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RepeatedLines } from '../src/repeated-lines.ts';

test('the first line is due at once, the next ones ever more rarely, with what was not said', () => {
  let nowMs = 0;
  const lines = new RepeatedLines({ monotonicMs: () => nowMs });
  const saidAtS: number[] = [];
  let unsaid = 0;
  for (; nowMs < 3_600_000; nowMs += 200) {
    const due = lines.due('tail');
    if (due === undefined) unsaid += 1;
    else {
      assert.equal(due, unsaid);
      unsaid = 0;
      saidAtS.push(nowMs / 1000);
    }
  }
  assert.deepEqual(saidAtS.slice(0, 6), [0, 5, 15, 35, 75, 155]);
  assert.ok(saidAtS.length <= 13, `${saidAtS.length} lines in an hour`);
});

test('after a while without it, and when it is over, the next one is the first again', () => {
  let nowMs = 0;
  const lines = new RepeatedLines({ monotonicMs: () => nowMs });
  assert.equal(lines.due('away'), 0);
  assert.equal(lines.due('other'), 0);
  assert.equal(lines.due('away'), undefined);
  lines.forget('away');
  assert.equal(lines.due('away'), 0);
  nowMs += 61_000;
  assert.equal(lines.due('away'), 0);
});
