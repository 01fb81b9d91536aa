// Where clients are sent that a node sends away, and the wishes of operators that come by way of ds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { readSettings } from '@lmqtt/common/settings/read';
import type { CsService } from '@lmqtt/cs/service';
import { DrainedCs, othersOf } from '../src/drained-cs.ts';

const listed = [
  { id: nodeId('cs-1'), role: 'cs', state: 'alive', address: 'one:1883' },
  { id: nodeId('cs-2'), role: 'cs', state: 'alive', address: 'two:1883' },
  { id: nodeId('cs-3'), role: 'cs', state: 'draining', address: 'three:1883' },
  { id: nodeId('cs-4'), role: 'cs', state: 'gone', address: 'four:1883' },
  { id: nodeId('cs-5'), role: 'cs', state: 'alive', address: null },
  { id: nodeId('ds-1'), role: 'ds', state: 'alive', address: 'five:7010' },
] as const;

function settingsOf(...args: string[]): ReturnType<typeof readSettings> {
  return readSettings({ args: ['--node-id', 'cs-1', ...args], environment: {} }, 'cs');
}

test('clients are sent to other nodes that take clients, at their ADVERTISE', async () => {
  const nodes = (): Promise<typeof listed> => Promise.resolve(listed);
  const others = othersOf(settingsOf('--advertise', 'one:1883'), nodes);
  assert.deepEqual(await others(), ['two:1883']);
});

test('without ADVERTISE addresses may be known to this network alone: nobody is asked', async () => {
  const others = othersOf(settingsOf(), () => Promise.reject(new Error('it is asked')));
  assert.deepEqual(await others(), []);
});

test('a wish is followed once, and not before the node has started', async () => {
  const said: string[] = [];
  let draining = false;
  const cs = {
    get draining() {
      return draining;
    },
    drain: () => {
      said.push('drain');
      draining = true;
      return Promise.resolve();
    },
    undrain: () => {
      said.push('undrain');
      return Promise.reject(new Error('the port is taken'));
    },
  } satisfies Pick<CsService, 'draining' | 'drain' | 'undrain'>;
  const drained = new DrainedCs(silentLogs().broker);
  drained.wished(true);
  await assert.rejects(drained.drain(true), /not started/);
  drained.runs(cs);
  drained.wished(true);
  drained.wished(true);
  // A wish that cannot be followed ends nothing, and is said again.
  drained.wished(false);
  drained.wished(false);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(said, ['drain', 'undrain', 'undrain']);
});
