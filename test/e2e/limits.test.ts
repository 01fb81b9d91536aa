// Each limit of the settings table is reached on purpose: its refusal and its metric are as told.
import assert from 'node:assert/strict';
import { afterEach, describe, test, type TestContext } from 'node:test';
import { limits } from '@lmqtt/common/settings/row';
import type { Broker } from '../harness/broker.ts';
import { startCluster } from '../harness/cluster.ts';
import { embeddedOnly, isSplit, startBroker } from '../harness/shape.ts';
import { closeAllClients } from '../harness/wire.ts';
import { metricRises, provocations } from './limit-provocations.ts';

afterEach(closeAllClients);

void test('each limit of the table has a provocation', () => {
  const names = limits.map((limit) => limit.name);
  assert.deepEqual(Object.keys(provocations).sort(), [...names].sort());
});

/** Reaches the limit of what was started, which stops with the test. */
async function provoked<T extends Pick<Broker, 'metrics' | 'stop'>>(
  t: TestContext,
  started: Promise<T>,
  metric: string,
  provoke: (broker: T) => Promise<void>,
): Promise<void> {
  const broker = await started;
  t.after(() => broker.stop());
  assert.equal((await broker.metrics()).get(metric), 0);
  await provoke(broker);
  await metricRises(broker, metric);
}

void describe('limits', () => {
  for (const { name, metric, refusal } of limits) {
    const provocation = provocations[name];
    const { settings } = provocation;
    const again = provocation.of === 'cluster' && isSplit;
    const own = provocation.embedded !== undefined && embeddedOnly(provocation.embedded).skip;
    const skip = again ? 'a cluster in either shape: once is enough' : own;
    void test(`${name}: ${refusal}`, { skip }, async (t) => {
      if (provocation.of === 'cluster') {
        await provoked(t, startCluster({ settings }), metric, provocation.provoke);
      } else {
        await provoked(t, startBroker({ settings }), metric, provocation.provoke);
      }
    });
  }
});
