import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DenialLines } from '../src/denial-lines.ts';

void test('a client that is denied again and again has some lines, then few, with how many were left out', () => {
  const lines = new DenialLines(0);
  const told: number[] = [];
  // A hundred a second for a minute.
  for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
    const unsaid = lines.take('c', nowMs);
    if (unsaid !== undefined) told.push(unsaid);
  }
  assert.ok(told.length >= 14 && told.length <= 16, `${told.length} lines`);
  const sum = told.reduce((total, unsaid) => total + unsaid + 1, 0);
  assert.ok(sum > 4900 && sum <= 6000, 'the rest is told with the next line');
  assert.equal(lines.take('other', 60_000), 0);
});

void test('strangers with ever new names do not fill the log', () => {
  const lines = new DenialLines(0);
  let told = 0;
  for (let number = 0; number < 100_000; number += 1)
    if (lines.take(`c${number}`, number / 10) !== undefined) told += 1;
  assert.ok(told >= 100 && told <= 121, `${told} lines in ten seconds`);
});
