import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Sequence } from './sequence.ts';

function counts(numbers: readonly number[]): readonly number[] {
  const sequence = new Sequence();
  for (const number of numbers) sequence.take(number);
  return [sequence.received, sequence.duplicates, sequence.disorder];
}

describe('what a benchmark counts as wrong', () => {
  it('finds nothing in what is whole and in order', () => {
    assert.deepEqual(counts([0, 1, 2, 3]), [4, 0, 0]);
  });
  it('counts a message that came twice, at once or later', () => {
    assert.deepEqual(counts([0, 0, 1, 2, 1]), [3, 2, 0]);
  });
  it('counts a message that came after a later one', () => {
    assert.deepEqual(counts([0, 2, 3, 1, 4]), [5, 0, 1]);
  });
  it('leaves one that never came out of what was received', () => {
    assert.deepEqual(counts([0, 1, 4]), [3, 0, 0]);
  });
  it('takes a late message once only', () => {
    assert.deepEqual(counts([1, 0, 0]), [2, 1, 1]);
  });
});
