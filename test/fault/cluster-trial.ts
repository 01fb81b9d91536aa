// A fault as a test: a cluster of its own, one run, one line, and the verdict of the ledger.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type LinkProxy, startCluster } from '../harness/cluster.ts';
import type { Address } from '../harness/process.ts';
import type { Fault } from './cluster-faults.ts';
import { ClusterRun } from './cluster-run.ts';
import { describeFigures } from './ledger.ts';
import { Random, seedOfRun } from './random.ts';

export interface Trial<P extends LinkProxy> {
  readonly name: string;
  readonly fault: Fault<P>;
  readonly between: (target: Address) => Promise<P>;
  /** Default 1500. */
  readonly leaseMs?: number;
  /**
   * Clients come and go meanwhile, so that nothing can be said of each of them but by the ledger.
   */
  readonly busy?: boolean;
}

const leaseMsUsual = 1500;
const minute = 60_000;
const runMsMax = 3 * minute;

async function tryOut<P extends LinkProxy>(
  t: TestContext,
  { fault, between, leaseMs = leaseMsUsual, busy = false }: Trial<P>,
  seed: number,
): Promise<void> {
  const cluster = await startCluster({
    between,
    settings: { LEASE_MS: String(leaseMs), LOG_LEVEL: 'warn' },
    // Many segments and checkpoints in a short time, so that recovery meets all of them.
    dsSettings: { SEGMENT_BYTES: '256k', CHECKPOINT_INTERVAL_S: '1' },
  });
  const run = new ClusterRun(cluster, leaseMs, busy, new Random(seed));
  try {
    await run.start();
    const said = await fault(run);
    const { wills, retained, problems, ...figures } = await run.finish();
    t.diagnostic(
      `${said} (seed ${seed}): ${describeFigures({ ...figures, problems })}, ` +
        `${wills} wills, ${retained} retained topics`,
    );
    assert.deepEqual(problems, [], `seed ${seed}\n${told(cluster.logs())}`);
    assert.equal(figures.lost, 0);
    assert.equal(figures.doubled, 0);
    assert.ok(figures.acknowledged > 0 && figures.arrivals > 0);
    assert.equal(cluster.died, false);
  } finally {
    await run.stop();
    assert.equal(await cluster.stop(), 0);
  }
}

const linesMax = 200;

/** Without those who were turned away, who are many. */
function told(logs: string): string {
  const lines = logs.split('\n').filter((line) => !line.includes('"connection refused"'));
  return lines.slice(0, linesMax).join('\n');
}

/** One test for each run; the trials take turns. */
export function tryEach<P extends LinkProxy>(trials: readonly Trial<P>[], runs: number): void {
  for (let run = 0; run < runs; run += 1) {
    const trial = trials[run % trials.length];
    if (trial === undefined) return;
    void test(`${trial.name}, run ${run + 1}`, { timeout: runMsMax }, (t) =>
      tryOut(t, trial, seedOfRun() + run),
    );
  }
}
