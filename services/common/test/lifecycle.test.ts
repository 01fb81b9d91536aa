import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Lifecycle } from '../src/lifecycle.ts';

test('stops in reverse order, once, and past a step that fails', async () => {
  const steps: string[] = [];
  const lifecycle = new Lifecycle((name) => steps.push(`${name} failed`));
  lifecycle.onStop('store', () => void steps.push('store'));
  lifecycle.onStop('session', () => Promise.reject(new Error('x')));
  lifecycle.onStop('listener', () => void steps.push('listener'));
  lifecycle.ready();
  assert.equal(lifecycle.state, 'ready');
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  assert.deepEqual(steps, ['listener', 'session failed', 'store']);
  assert.equal(lifecycle.state, 'stopping');
});

test('a failure is told until it is over', () => {
  const lifecycle = new Lifecycle(() => {});
  lifecycle.recovered();
  assert.equal(lifecycle.state, 'starting');
  lifecycle.ready();
  lifecycle.failed('disk full');
  lifecycle.failed('later');
  assert.equal(lifecycle.state, 'failed');
  assert.equal(lifecycle.failure, 'disk full');
  lifecycle.recovered();
  assert.equal(lifecycle.state, 'ready');
  assert.equal(lifecycle.failure, null);
});
