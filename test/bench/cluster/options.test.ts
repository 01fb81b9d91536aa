import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { UsageError } from '../options.ts';
import { readClusterOptions } from './options.ts';
import { rowsWith } from './rows.ts';

const names = rowsWith(1).map(({ name }) => name);

describe('command line of the bench of the cluster', () => {
  it('measures all rows under all conditions by default', () => {
    const options = readClusterOptions([], names);
    assert.equal(options.rows, undefined);
    assert.deepEqual(options.flushes, ['async', 'sync']);
    assert.deepEqual(options.threads, ['default', 'one']);
    assert.equal(options.shape, 'cluster');
    assert.equal(options.seconds, 10);
  });

  it('takes single rows and conditions', () => {
    const args = '--row pairs-10,storm --threads 1 --flush sync --store rocksdb --seconds 2';
    const options = readClusterOptions(args.split(' '), names);
    assert.deepEqual(options.rows, ['pairs-10', 'storm']);
    assert.deepEqual(options.threads, ['one']);
    assert.deepEqual(options.flushes, ['sync']);
    assert.equal(options.store, 'rocksdb');
    assert.equal(options.seconds, 2);
  });

  it('takes settings of the nodes', () => {
    const options = readClusterOptions(['--set', 'LANE_WINDOW=8', '--set', 'A=b=c'], names);
    assert.deepEqual(options.settings, { LANE_WINDOW: '8', A: 'b=c' });
  });

  for (const args of [
    ['--row', 'pairs'],
    ['--threads', '2'],
    ['--flush', 'never'],
    ['--store', 'disk'],
    ['--profile', 'broker'],
    ['--seconds', '0'],
    ['--sessions', '2000000'],
    ['--set', 'LANE_WINDOW'],
  ]) {
    it(`refuses ${args.join(' ')}`, () => {
      assert.throws(() => readClusterOptions(args, names), UsageError);
    });
  }
});

describe('rows of the bench of the cluster', () => {
  it('have names of their own', () => {
    assert.equal(new Set(names).size, names.length);
  });
});
