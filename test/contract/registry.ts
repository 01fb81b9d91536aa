import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { nodeId, queueName } from '@lmqtt/common/ids';
import type { Registry, RouteChange } from '@lmqtt/ds/registry/registry';

/** A registry whose clock the suite moves. */
export interface RegistryUnderTest {
  readonly registry: Registry;
  readonly passMs: (ms: number) => void;
  /** The given identifiers are used in something durable, as a queue is by its first message. */
  use(): Promise<void>;
  crash(): Promise<RegistryUnderTest>;
  close(): Promise<void>;
}

const a = nodeId('a');
const b = nodeId('b');

/** Checks each sentence of the comment of the port. */
export function registryContract(
  name: string,
  make: (t: TestContext) => Promise<RegistryUnderTest>,
): void {
  const check = (
    promise: string,
    work: (under: RegistryUnderTest) => Promise<RegistryUnderTest | void>,
  ): void => {
    void test(`${name}: ${promise}`, async (t) => {
      const under = await make(t);
      const last = (await work(under)) ?? under;
      await last.close();
    });
  };

  check('every change is told once, to all, in the order of its number', async ({ registry }) => {
    const told: [RouteChange, number][][] = [[], []];
    for (const list of told)
      registry.onRoutes((change, number) => {
        list.push([change, number]);
      });
    const queue = registry.newQueue();
    const changes: RouteChange[] = [
      { kind: 'open', queue, name: queueName('t') },
      { kind: 'interest', queue, node: a },
      { kind: 'no interest', queue, node: a },
    ];
    await registry.change(changes.slice(0, 2));
    await registry.change(changes.slice(2));
    await registry.change([{ kind: 'close', queue }]);
    for (const list of told) {
      assert.deepEqual(
        list.map(([change]) => change),
        [...changes, { kind: 'close', queue }],
      );
      const numbers = list.map(([, number]) => number);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => numbers[0]! + index),
      );
    }
  });

  check('a queue identifier is never given twice, not after a crash', async (under) => {
    const before = new Set(Array.from({ length: 5000 }, () => under.registry.newQueue()));
    assert.equal(before.size, 5000);
    await under.use();
    const { logId } = under.registry;
    const again = await under.crash();
    for (let n = 0; n < 5000; n += 1) assert.ok(!before.has(again.registry.newQueue()));
    assert.notEqual(again.registry.logId, logId);
    return again;
  });

  check('a node is alive until its lease has run out, which only renew prolongs', async (under) => {
    const { registry, passMs } = under;
    const stepMs = registry.leaseMs / 3;
    await registry.join(a, 'one');
    await registry.join(b, 'two');
    for (let step = 0; step < 10; step += 1) {
      passMs(stepMs);
      assert.equal(registry.renew(a), true);
      if (step < 2) assert.deepEqual(registry.ended(), []);
    }
    assert.equal(registry.renew(b), false);
    assert.deepEqual(registry.ended(), [b]);
    assert.deepEqual(registry.ended(), []);
    assert.equal(registry.renew(b), false);
    assert.deepEqual(registry.attached, [{ node: a, instance: 'one' }]);
  });

  check('a node that leaves has ended, once', async ({ registry, passMs }) => {
    await registry.join(a, 'one');
    registry.leave(a);
    registry.leave(a);
    assert.deepEqual(registry.ended(), [a]);
    assert.equal(registry.renew(a), false);
    passMs(10 * registry.leaseMs);
    assert.deepEqual(registry.ended(), []);
  });

  check(
    'nodes that are alive are so after a crash, for two leases from the start',
    async (under) => {
      await under.registry.join(a, 'one');
      await under.registry.join(b, 'two');
      under.passMs(under.registry.leaseMs - 1);
      const again = await under.crash();
      const { registry, passMs } = again;
      assert.deepEqual(registry.attached, [
        { node: a, instance: 'one' },
        { node: b, instance: 'two' },
      ]);
      passMs(2 * registry.leaseMs - 1);
      assert.deepEqual(registry.ended(), []);
      assert.equal(registry.renew(a), true);
      passMs(1);
      assert.deepEqual(registry.ended(), [b]);
      passMs(registry.leaseMs);
      assert.deepEqual(registry.ended(), [a]);
      return again;
    },
  );

  check('an end is stored no later than what is stored after it', async (under) => {
    await under.registry.join(a, 'one');
    await under.registry.join(b, 'two');
    under.registry.leave(a);
    await under.use();
    const again = await under.crash();
    assert.deepEqual(again.registry.attached, [{ node: b, instance: 'two' }]);
    assert.deepEqual(again.registry.ended(), []);
    again.passMs(2 * again.registry.leaseMs);
    assert.deepEqual(again.registry.ended(), [b]);
    await again.use();
    const last = await again.crash();
    assert.deepEqual(last.registry.attached, []);
    return last;
  });
}
