import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '@lmqtt/common/metrics';
import { silentLogs } from '@lmqtt/common/log';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { RpcEvents } from '../src/rpc/rpc-events.ts';

test('reads that fail while the store is away are told at a low rate, other failures each time', (t) => {
  const logs = silentLogs();
  const warned = t.mock.method(logs.broker, 'warn', () => undefined);
  const failed = t.mock.method(logs.broker, 'error', () => undefined);
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const events = new RpcEvents(logs, new Metrics(), clock);
  const away = new StoreFailure('broker-b is not there', ReasonCode.serverUnavailable);
  for (; nowMs < 600_000; nowMs += 100) events.callFailed('cs-1@ds-1', away);
  assert.ok(warned.mock.callCount() < 10, `${warned.mock.callCount()} lines in 10 minutes`);
  assert.equal(failed.mock.callCount(), 0);
  for (let n = 0; n < 3; n += 1) events.callFailed('cs-1@ds-1', new Error('a bug'));
  assert.equal(failed.mock.callCount(), 3);
});
