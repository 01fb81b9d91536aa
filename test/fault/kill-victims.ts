import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { StandaloneBroker } from '../harness/standalone-broker.ts';
import type { KillFigures, Victim } from './kill-run.ts';
import { describeFigures } from './ledger.ts';

/** Many segments and checkpoints in a short time, so that recovery meets all of them. */
export const crashSettings: Readonly<Record<string, string>> = {
  SEGMENT_BYTES: '256k',
  CHECKPOINT_INTERVAL_S: '1',
};

/** The broker as a process of its own; ended with the test. */
export function brokerVictim(t: TestContext, settings: Readonly<Record<string, string>>): Victim {
  const broker = new StandaloneBroker({ settings });
  t.after(() => broker.stop());
  return broker;
}

export function assertLedger(t: TestContext, figures: KillFigures, seed: number): void {
  const { kills, wills, retained, lost, doubled, problems } = figures;
  t.diagnostic(
    `${kills} kills (seed ${seed}): ${describeFigures(figures)}, ` +
      `${wills} wills, ${retained} retained topics`,
  );
  assert.deepEqual(problems, [], `seed ${seed}`);
  assert.equal(lost, 0);
  assert.equal(doubled, 0);
}
