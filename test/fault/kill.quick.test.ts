import { test } from 'node:test';
import { assertLedger, brokerVictim, crashSettings } from './kill-victims.ts';
import { killRun } from './kill-run.ts';
import { Random, seedOfRun } from './random.ts';

void test('kill -9 at random instants: nothing lost, nothing doubled, order kept', async (t) => {
  const seed = seedOfRun();
  const victim = brokerVictim(t, crashSettings);
  const figures = await killRun(victim, {
    kills: 3,
    random: new Random(seed),
    loadMs: [300, 1200],
  });
  assertLedger(t, figures, seed);
});
