import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { between } from './interval.ts';
import { Histogram, memoryOf, times } from './meter.ts';
import { median } from './results.ts';

const bucketShare = 1 / 32;

describe('measuring', () => {
  it('gives quantiles within a bucket of the exact ones', () => {
    const us = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(fc.array(us, { minLength: 1 }), fc.constantFrom(0.5, 0.99, 1), (all, share) => {
        const histogram = new Histogram();
        for (const each of all) histogram.add(each);
        const sorted = all.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(all.length * share) - 1] ?? 0;
        const given = histogram.quantile(share);
        assert.ok(given >= exact && given <= exact * (1 + bucketShare), `${given} for ${exact}`);
      }),
    );
  });

  it('reads the times and the memory of each process', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      await once(other, 'spawn');
      const processes = [
        { name: 'busy', pid: process.pid },
        { name: 'asleep', pid: other.pid ?? 0 },
      ];
      const histogram = new Histogram();
      const watch = { processes, rssBefore: memoryOf(processes), histogram };
      const before = times(processes);
      // By its own clock, since other programs may have the cores.
      const start = process.cpuUsage();
      while (process.cpuUsage(start).user < 100_000);
      const { processes: uses, seconds } = between(watch, before, 10);
      const [busy, asleep] = uses;
      assert.ok(busy !== undefined && asleep !== undefined);
      assert.deepEqual([busy.name, asleep.name], ['busy', 'asleep']);
      assert.ok(seconds >= 0.1);
      assert.ok(busy.cpuUs >= 30_000, `${busy.cpuUs}`);
      assert.ok(busy.waitedUs !== undefined && busy.waitedUs >= 0);
      assert.ok(asleep.cpuUs <= 10_000, `${asleep.cpuUs}`);
      assert.ok(busy.rssAfter > 10 * 1024 * 1024);
      assert.ok(asleep.rssAfter > 0 && asleep.rssAfter < busy.rssAfter);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('takes the middle of an odd and of an even number of values', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });
});
