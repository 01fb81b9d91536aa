import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnPace } from '../src/turn-pace.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('long turns make portions smaller, short ones larger, within bounds', async () => {
  let nowMs = 0;
  let asked = 0;
  const pace = new TurnPace(
    () => (asked += 1),
    () => nowMs,
  );
  const turn = async (tookMs: number): Promise<number> => {
    let begun = 0;
    while (pace.begin()) begun += 1;
    nowMs += tookMs;
    await nextTurn();
    return begun;
  };
  const first = await turn(100);
  const sizes = [await turn(100), await turn(100), await turn(100), await turn(100)];
  assert.ok(sizes[0]! < first);
  assert.equal(sizes.at(-1), 16);
  let last = 0;
  for (let count = 0; count < 30; count += 1) last = await turn(1);
  assert.equal(last, 64);
  assert.equal(await turn(40), 64);
  assert.equal(pace.size, 64, 'in between nothing changes');
  assert.equal(asked, 36);
});
