// A kick names a connection by its handle alone, and may be for one of the node's last run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import { Counters } from '../src/counters.ts';
import { startCs } from '../src/service.ts';
import { FakeClient } from './node-fixture.ts';
import { ScriptedDs } from './scripted-ds.ts';

/** The handles of the first connections of a node that starts. */
async function handlesOfOneRun(): Promise<readonly number[]> {
  const server = new ScriptedDs();
  const service = await startCs({
    settings: readSettings({ args: ['--mqtt-port=0', '--ws-port=0'], environment: {} }),
    server,
    clock: systemClock,
    logs: silentLogs(),
    metrics: new Metrics(),
    counters: new Counters(),
  });
  for (let count = 0; count < 3; count += 1) service.node.connections.accept(new FakeClient(5));
  const handles = service.node.connections.all().map(({ handle }) => handle);
  await service.stop();
  return handles;
}

test('connections of a node that was started again have none of the handles of before', async () => {
  const [before, after] = [await handlesOfOneRun(), await handlesOfOneRun()];
  assert.equal(new Set([...before, ...after]).size, 6);
  assert.deepEqual(before.slice(1), [before[0]! + 1, before[0]! + 2]);
});
