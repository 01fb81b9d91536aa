// Each limit of the settings table is reached on purpose: its refusal and its metric are as told.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { limits } from '@lmqtt/common/settings/row';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients } from '../harness/wire.ts';
import { metricRises, provocations } from './limit-provocations.ts';

afterEach(closeAllClients);

void test('each limit of the table has a provocation', () => {
  const names = limits.map((limit) => limit.name);
  assert.deepEqual(Object.keys(provocations).sort(), [...names].sort());
});

void describe('limits', () => {
  for (const { name, metric, refusal } of limits) {
    void test(`${name}: ${refusal}`, async (t) => {
      const { settings, provoke } = provocations[name];
      const broker = await startBroker({ settings });
      t.after(() => broker.stop());
      assert.equal((await broker.metrics()).get(metric), 0);
      await provoke(broker);
      await metricRises(broker, metric);
    });
  }
});
