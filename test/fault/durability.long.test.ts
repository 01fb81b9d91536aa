import { test } from 'node:test';
import { killRun } from './kill-run.ts';
import { assertLedger } from './kill-victims.ts';
import { Random, seedOfRun } from './random.ts';
import { ShadowVictim } from './shadow-victim.ts';

const runs = 6;

for (let run = 0; run < runs; run += 1) {
  void test(`started on what the last sync left, 5 times, run ${run + 1}`, async (t) => {
    const seed = seedOfRun() + run;
    const victim = new ShadowVictim({ segmentBytes: 256 * 1024, checkpointIntervalS: 1 });
    t.after(() => victim.end());
    // From syncs that overlap everything to those that hardly take time.
    victim.slowMs = [300, 30, 3][run % 3] ?? 0;
    const random = new Random(seed);
    assertLedger(t, await killRun(victim, { kills: 5, random, loadMs: [50, 2500] }), seed);
  });
}
