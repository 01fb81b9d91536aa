import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeFigures } from '../src/rpc/node-figures.ts';

test('figures of nodes: the last word of each process, also of those that are gone', () => {
  const figures = new NodeFigures();
  figures.told('one', { received: 1, sent: 1 });
  figures.told('two', { received: 10 });
  figures.told('one', { received: 2, sent: 5 });
  assert.deepEqual(figures.totals(), { received: 12, sent: 5 });
});

test('figures of more processes than are told apart still add up', () => {
  const figures = new NodeFigures();
  for (let number = 0; number < 5000; number += 1)
    figures.told(`process ${number}`, { received: 1 });
  assert.deepEqual(figures.totals(), { received: 5000 });
  figures.told('process 4999', { received: 3 });
  assert.deepEqual(figures.totals(), { received: 5002 });
});
