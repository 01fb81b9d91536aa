import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Lifecycle } from '../src/lifecycle.ts';

test('stops in reverse order, once, and past a step that fails', async () => {
  const steps: string[] = [];
  const lifecycle = new Lifecycle((name) => steps.push(`${name} failed`));
  lifecycle.onStop('store', () => void steps.push('store'));
  lifecycle.onStop('session', () => Promise.reject(new Error('x')));
  lifecycle.onStop('listener', () => void steps.push('listener'));
  lifecycle.started();
  assert.equal(lifecycle.state, 'ready');
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  assert.deepEqual(steps, ['listener', 'session failed', 'store']);
  assert.equal(lifecycle.state, 'stopping');
});

test('what is missing is told until it is there', async () => {
  const lifecycle = new Lifecycle(() => {});
  let disk: string | null = 'disk full';
  let link: string | null = 'no link';
  lifecycle.needs(() => disk);
  lifecycle.needs(() => link);
  assert.equal(lifecycle.state, 'starting');
  assert.equal(lifecycle.missing, 'disk full');
  lifecycle.started();
  assert.equal(lifecycle.state, 'not ready');
  disk = null;
  assert.equal(lifecycle.missing, 'no link');
  link = null;
  assert.equal(lifecycle.state, 'ready');
  assert.equal(lifecycle.missing, null);
  link = 'no link';
  assert.equal(lifecycle.state, 'not ready');
  await lifecycle.stop();
  assert.equal(lifecycle.state, 'stopping');
  assert.equal(lifecycle.missing, null);
});

test('a notice is told, and the process is ready all the same', async () => {
  const lifecycle = new Lifecycle(() => {});
  let notice: string | null = 'a broker is away';
  lifecycle.notes(() => notice);
  lifecycle.notes(() => null);
  lifecycle.started();
  assert.equal(lifecycle.state, 'ready');
  assert.deepEqual(lifecycle.notices, ['a broker is away']);
  notice = null;
  assert.deepEqual(lifecycle.notices, []);
  await lifecycle.stop();
});
