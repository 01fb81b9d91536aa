// Each limit of the settings table is reached on purpose: its refusal and its metric are as told.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
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

async function reached<T extends Pick<Broker, 'metrics'>>(
  broker: T,
  metric: string,
  provoke: (broker: T) => Promise<void>,
): Promise<void> {
  assert.equal((await broker.metrics()).get(metric), 0);
  await provoke(broker);
  await metricRises(broker, metric);
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
  await reached(broker, metric, provoke);
}

/**
 * Limits that one broker has at once: what reaches one of them stays below the others. Each list
 * is in an order in which none is reached before its turn.
 */
const together: readonly (readonly LimitName[])[] = [
  [
    ...(['KEEP_ALIVE_S_MAX', 'MAX_PACKET_SIZE', 'RECEIVE_MAXIMUM', 'MAX_INFLIGHT'] as const),
    ...(['TOPIC_ALIAS_MAXIMUM', 'MAX_FILTERS_PER_PACKET', 'MAX_TOPIC_LEVELS'] as const),
    ...(['SESSION_EXPIRY_S_MAX', 'WILL_DELAY_S_MAX', 'DELAY_S_MAX'] as const),
    'MAX_RETAINED_MESSAGES',
  ],
  [
    ...(['MAX_PENDING_PER_ADDRESS', 'MAX_PENDING_BYTES', 'MAX_SUBSCRIBE_SIZE'] as const),
    ...(['MAX_OVERLAPPING_SUBSCRIPTIONS', 'MAX_DELAYED_MESSAGES'] as const),
  ],
  [
    ...(['MAX_CONNECT_SIZE', 'MAX_SUBSCRIPTION_BYTES', 'MAX_RETAINED_BYTES'] as const),
    ...(['MAX_DELAYED_BYTES', 'BANNED_MAX', 'FLAP_CONNECTS_MAX'] as const),
  ],
  ['MAX_SUBSCRIPTIONS_PER_SESSION', 'MAX_QUEUED_MESSAGES'],
];

const titleOf = ({ name, refusal }: (typeof limits)[number]): string => `${name}: ${refusal}`;

for (const names of together) {
  void describe(`limits of one broker: ${names.join(', ')}`, () => {
    let broker: Broker;
    before(async () => {
      const all = names.map((name) => provocations[name].settings);
      const settings: Record<string, string> = Object.assign({}, ...all);
      for (const one of all)
        for (const [name, value] of Object.entries(one)) assert.equal(settings[name], value);
      broker = await startBroker({ settings });
    });
    after(() => broker.stop());

    for (const name of names) {
      const limit = limits.find((one) => one.name === name)!;
      const provocation = provocations[name];
      assert.ok(provocation.of === undefined);
      void test(titleOf(limit), { skip: skipped(name) }, async () => {
        await reached(broker, limit.metric, provocation.provoke);
      });
    }
  });
}

void describe('limits', () => {
  const apart = limits.filter(({ name }) => !together.some((names) => names.includes(name)));
  for (const limit of apart) {
    const { name, metric } = limit;
    const provocation = provocations[name];
    const { settings } = provocation;
    void test(titleOf(limit), { skip: skipped(name) }, async (t) => {
      if (provocation.of === 'cluster') {
        await provoked(t, startCluster({ settings }), metric, provocation.provoke);
      } else {
        await provoked(t, startBroker({ settings }), metric, provocation.provoke);
      }
    });
  }
});
