import { test } from 'node:test';
import { assertLedger, brokerVictim, crashSettings } from './kill-victims.ts';
import { killRun } from './kill-run.ts';
import { Random, seedOfRun } from './random.ts';

const runs = 12;
const killsEach = 5;

for (let run = 0; run < runs; run += 1) {
  void test(`kill -9 at random instants, ${killsEach} times, run ${run + 1}`, async (t) => {
    const seed = seedOfRun() + run;
    // Every third with the default settings: one segment, no checkpoint in between.
    const victim = brokerVictim(t, run % 3 === 2 ? {} : crashSettings);
    const figures = await killRun(victim, {
      kills: killsEach,
      random: new Random(seed),
      loadMs: [50, 2500],
    });
    assertLedger(t, figures, seed);
  });
}
