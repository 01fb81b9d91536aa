// Each limit of the settings table is reached on purpose: its refusal and its metric are as told.
import assert from 'node:assert/strict';
import { afterEach, describe, test, type TestContext } from 'node:test';
import { type LimitName, limits } from '@lmqtt/common/settings/row';
import { table } from '@lmqtt/common/settings/table';
import type { Broker } from '../harness/broker.ts';
import { startCluster } from '../harness/cluster.ts';
import { embeddedOnly, isCluster, isSplit, startBroker } from '../harness/shape.ts';
import { closeAllClients } from '../harness/wire.ts';
import { metricRises, provocations } from './limit-provocations.ts';

afterEach(closeAllClients);

void test('each limit of the table has a provocation', () => {
  const names = limits.map((limit) => limit.name);
  assert.deepEqual(Object.keys(provocations).sort(), [...names].sort());
});

/** Why one is not reached in this shape; undefined: it is. */
function skipped(name: LimitName): string | false {
  const { of, embedded } = provocations[name];
  if (of === 'cluster' && isSplit) return 'a cluster in either shape: once is enough';
  const roles: readonly string[] = table[name].roles;
  if (isCluster && !roles.includes('ds')) return 'of cs, which does not see what stores there are';
  return embedded === undefined ? false : embeddedOnly(embedded).skip;
}

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
    void test(`${name}: ${refusal}`, { skip: skipped(name) }, async (t) => {
      if (provocation.of === 'cluster') {
        await provoked(t, startCluster({ settings }), metric, provocation.provoke);
      } else {
        await provoked(t, startBroker({ settings }), metric, provocation.provoke);
      }
    });
  }
});
