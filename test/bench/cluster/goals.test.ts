import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Outcome } from '../job.ts';
import {
  cpuAtMost,
  inOrder,
  judge,
  latencyOverBare,
  memoryAtMost,
  ofBareAtLeast,
  p50OfWindow,
  redisCommandsAtMost,
} from './goals.ts';
import { goalTable, runLine } from './report.ts';
import { rowsWith } from './rows.ts';
import type { ClusterRun } from './run.ts';

const mib = 1024 * 1024;
const condition = { shape: 'cluster', flush: 'async', threads: 'one', store: 'file' } as const;

function run(more: Partial<Outcome> = {}): ClusterRun {
  const use = (name: string, cpuUs: number): Outcome['processes'][number] => ({
    ...{ name, cpuUs },
    rssBefore: 80 * mib,
    rssAfter: 100 * mib,
  });
  const bare = { receivedPerS: 5000, p50Ms: 1, p99Ms: 5, late: 0, refused: 0 };
  return {
    row: 'pairs-10',
    condition,
    round: 0,
    outcome: {
      count: 10_000,
      seconds: 2,
      startedMs: 0,
      latency: { p50Us: 2500, p99Us: 16_000, maxUs: 20_000, meanUs: 3000 },
      processes: [use('cs-1', 200_000), use('ds-1', 300_000), use('rocketmq', 900_000)],
      generatorCpuUs: 100_000,
      otherCpuUs: 0,
      faults: { missing: 0, duplicates: 0, disorder: 0, refused: 0, lost: [] },
      ...more,
    },
    bare: [
      { ...bare, perS: 4000 },
      { ...bare, perS: 8000 },
    ],
    redis: {
      commands: 150,
      leases: 7,
      byName: { 'session-store/write': 150, 'registry/renew': 7 },
    },
  };
}

describe('goals of the cluster', () => {
  it('are read beside the mean of the loops before and after', () => {
    assert.deepEqual(judge(ofBareAtLeast(0.75), [run()]), {
      text: '≥ 0.75x of the bare loop',
      measured: '0.83x',
      isMet: true,
    });
    const [p50, p99] = latencyOverBare(2, 10).map((goal) => judge(goal, [run()]));
    assert.deepEqual([p50?.measured, p50?.isMet], ['+1.5 ms', true]);
    assert.deepEqual([p99?.measured, p99?.isMet], ['+11.0 ms', false]);
  });

  it('count our processes and not the stores', () => {
    assert.equal(judge(cpuAtMost(60), [run()]).measured, '50.0 µs');
    const measured = memoryAtMost(150, 250).map((goal) => judge(goal, [run()]));
    assert.deepEqual(
      measured.map((each) => [each.measured, each.isMet]),
      [
        ['160 MiB', false],
        ['200 MiB', true],
      ],
    );
  });

  it('compare the median latency with a full window', () => {
    assert.deepEqual(judge(p50OfWindow(1.3, 10), [run()]).measured, '1.25x');
  });

  it('leave out the leases of the commands of Redis', () => {
    const verdict = judge(redisCommandsAtMost(20, 1000, '1,000 deliveries'), [run()]);
    assert.deepEqual([verdict.measured, verdict.isMet], ['15.0', true]);
  });

  it('judge the median of the rounds', () => {
    const late = (disorder: number): ClusterRun =>
      run({ faults: { missing: 0, duplicates: 0, disorder, refused: 0, lost: [] } });
    assert.equal(judge(inOrder, [late(0), late(3), late(4)]).isMet, false);
  });

  it('are not measured where there is no loop', () => {
    const verdict = judge(ofBareAtLeast(0.75), [{ ...run(), bare: [] }]);
    assert.equal(verdict.measured, undefined);
  });
});

describe('report of the cluster', () => {
  const row = rowsWith(1)[0]!;

  it('shows a run with its ratio and its parts', () => {
    const text = runLine(row, run());
    assert.match(text, /5,000 msg\/s/);
    assert.match(text, /0\.83x of bare/);
    assert.match(text, /cs \+ ds 50\.0 µs each \(cs-1 20\.0, ds-1 30\.0, rocketmq 90\.0\)/);
    assert.match(text, /150 commands and 7 of leases/);
  });

  it('shows a goal in one line with its conditions to the right', () => {
    const wrong = run({ faults: { missing: 1, duplicates: 0, disorder: 0, refused: 0, lost: [] } });
    const text = goalTable([
      { row, condition, runs: [run()], failures: [] },
      { row, condition: { ...condition, flush: 'sync' }, runs: [wrong], failures: [] },
    ]);
    const line = text.split('\n').find((each) => each.includes('≥ 0.75x'));
    assert.match(line ?? '', /0\.83x yes +\| 0\.83x NO \(WRONG\)/);
  });
});
