import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { cpuAtMost, idleShareOfAtMost, memoryOfAtMost, only } from './goals.ts';
import type { Outcome } from './job.ts';
import type { ProcessUse } from './meter.ts';
import { goalRows, medians, runLine } from './report.ts';
import {
  cpuUsPerMessage,
  idleShare,
  ofProcess,
  Results,
  rssBytes,
  rssGrowth,
  rssPerCount,
} from './results.ts';
import { workloads } from './workloads.ts';

const mib = 1024 * 1024;

function use(name: string, cpuUs: number, rss: readonly [number, number]): ProcessUse {
  return { name, cpuUs, rssBefore: rss[0] * mib, rssAfter: rss[1] * mib };
}

function outcome(processes: readonly ProcessUse[], count = 1000): Outcome {
  return {
    count,
    seconds: 1,
    startedMs: 0,
    latency: { p50Us: 100, p99Us: 200, maxUs: 300, meanUs: 120 },
    processes,
    generatorCpuUs: 500,
    otherCpuUs: 0,
    faults: { missing: 0, duplicates: 0, disorder: 0, refused: 0, lost: [] },
  };
}

const split = outcome([
  { ...use('cs-1', 3000, [50, 60]), idleShare: 0.004 },
  { ...use('ds-1', 2000, [80, 100]), idleShare: 0.002 },
]);

function resultsOf(run: Outcome): Results {
  const results = new Results();
  results.runs.push({ broker: 'split', variant: only, round: 0, outcome: run });
  return results;
}

describe('figures of a broker of several processes', () => {
  it('adds the processes up', () => {
    assert.equal(cpuUsPerMessage(split), 5);
    assert.equal(rssBytes(split), 160 * mib);
    assert.equal(rssGrowth(split), 30 * mib);
    assert.ok(Math.abs(idleShare(split) - 0.006) < 1e-9);
  });

  it('tells each process', () => {
    assert.equal(ofProcess('cs-1', cpuUsPerMessage)(split), 3);
    assert.equal(ofProcess('ds-1', rssPerCount)(split), (20 * mib) / 1000);
    assert.ok(Number.isNaN(ofProcess('cs-2', cpuUsPerMessage)(split)));
  });

  it('knows that idleness was not measured', () => {
    assert.ok(Number.isNaN(idleShare(outcome([use('broker', 1, [1, 1])]))));
  });

  it('judges the sum where the goal is of the broker, one process where it is of that', () => {
    const results = resultsOf(split);
    const cpu = cpuAtMost(4)(results, 'split');
    assert.deepEqual([cpu.measured, cpu.isMet], ['5.00 µs', false]);
    assert.match(cpu.text, /cs-1 \+ ds-1/);
    assert.equal(cpuAtMost(5)(results, 'split').isMet, true);
    const memory = memoryOfAtMost('cs-1', 11)(results, 'split');
    assert.deepEqual([memory.measured, memory.isMet], ['10.2 KiB', true]);
    const idle = idleShareOfAtMost('cs-1', 0.3)(results, 'split');
    assert.deepEqual([idle.measured, idle.isMet], ['0.40 %', false]);
  });

  it('leaves a goal open whose broker did not run', () => {
    assert.equal(cpuAtMost(8)(new Results(), 'split').measured, undefined);
  });

  it('reports both', () => {
    const workload = workloads.find(({ name }) => name === 'idle');
    assert.ok(workload !== undefined);
    const results = resultsOf(split);
    const [run] = results.runs;
    assert.ok(run !== undefined);
    assert.match(runLine(workload, run), /broker 5\.00 \(cs-1 3\.00, ds-1 2\.00\) µs/);
    assert.match(runLine(workload, run), /idle 0\.60 \(cs-1 0\.40, ds-1 0\.20\) %/);
    assert.match(medians(workload, results), /\| 160 \(cs-1 60, ds-1 100\) +\|/);
    assert.deepEqual(
      goalRows(workload, 'split', results).map((row) => row.slice(1)),
      [
        ['split', 'cs-1 ≤ 8 KiB each', '10.2 KiB', 'NO'],
        ['split', 'cs-1 ≤ 1 % of a core', '0.40 %', 'yes'],
      ],
    );
  });
});
