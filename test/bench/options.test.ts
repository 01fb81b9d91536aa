import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { readOptions, UsageError } from './options.ts';
import { Series } from './series.ts';
import { workloads } from './workloads.ts';

const names = workloads.map(({ name }) => name);

function shapesOf(workload: string, ...args: string[]): readonly string[] {
  const found = workloads.find(({ name }) => name === workload);
  assert.ok(found !== undefined);
  return new Series(found, readOptions(args, names)).shapes;
}

describe('the command line of the benchmark', () => {
  it('runs both shapes where both have goals', () => {
    assert.deepEqual(shapesOf('qos1'), ['standalone', 'split']);
    assert.deepEqual(shapesOf('storm'), ['standalone']);
  });

  it('runs the shape that is asked for, also where it has no goal', () => {
    assert.deepEqual(shapesOf('qos1', '--shape', 'split'), ['split']);
    assert.deepEqual(shapesOf('storm', '--shape', 'split'), ['split']);
  });

  it('takes workloads, peers and a process to profile', () => {
    const options = readOptions(['--only', 'qos0,idle', '--peers', '', '--profile', 'ds'], names);
    assert.deepEqual(options.only, ['qos0', 'idle']);
    assert.deepEqual(options.peers, []);
    assert.equal(options.profile, 'ds');
    assert.equal(options.shape, undefined);
  });

  for (const args of [
    ['--only', 'split'],
    ['--peers', 'standalone'],
    ['--shape', 'both'],
    ['--profile', 'rumqttd'],
    ['--shape', 'split', '--profile', 'broker'],
    ['--shape', 'standalone', '--profile', 'cs'],
    ['--rounds', '0'],
  ]) {
    it(`refuses ${args.join(' ')}`, () => {
      assert.throws(() => readOptions(args, names), UsageError);
    });
  }
});
