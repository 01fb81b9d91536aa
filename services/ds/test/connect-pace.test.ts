import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectPace } from '../src/use-cases/connect-pace.ts';

test('a storm of CONNECTs is begun in portions, in its order, and others get turns in between', async () => {
  const pace = new ConnectPace();
  const begun: number[] = [];
  const ask = async (index: number): Promise<void> => {
    const turn = pace.turn();
    if (turn !== undefined) await turn;
    begun.push(index);
  };
  const all = Array.from({ length: 500 }, (_, index) => ask(index));
  let turns = 0;
  while (pace.waiting > 0) {
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  await Promise.all(all);
  assert.ok(turns >= 4, `${turns} turns for others`);
  assert.deepEqual(
    begun,
    begun.map((_, index) => index),
  );
  assert.equal(begun.length, 500);
});
