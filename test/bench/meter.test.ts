import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { Histogram, rssBytesOf, times } from './meter.ts';
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

  it('reads the times and the memory of a process', () => {
    const before = times(process.pid);
    const end = performance.now() + 100;
    while (performance.now() < end);
    const after = times(process.pid);
    assert.ok(after.brokerUs - before.brokerUs >= 30_000);
    assert.ok(after.machineUs - before.machineUs >= 30_000);
    assert.ok(rssBytesOf(process.pid) > 10 * 1024 * 1024);
  });

  it('takes the middle of an odd and of an even number of values', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });
});
