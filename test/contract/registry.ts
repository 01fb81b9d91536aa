import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { nodeId, queueName } from '@lmqtt/common/ids';
import type { Registry, RouteChange } from '@lmqtt/ds/registry/registry';

/** A registry whose clock the suite moves. */
export interface RegistryUnderTest {
  readonly registry: Registry;
  readonly passMs: (ms: number) => void;
  /** What was given is used in something durable, as a queue is by its first message. */
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

  check('a node is alive until its lease has run out', async ({ registry, passMs }) => {
    registry.join(a);
    registry.join(b);
    for (let second = 0; second < 10; second += 1) {
      passMs(1000);
      registry.renew(a);
      if (second < 2) assert.deepEqual(registry.ended(), []);
    }
    assert.deepEqual(registry.ended(), [b]);
    assert.deepEqual(registry.ended(), []);
    return Promise.resolve();
  });

  check('a node that leaves has ended, once', async ({ registry, passMs }) => {
    registry.join(a);
    registry.leave(a);
    registry.leave(a);
    assert.deepEqual(registry.ended(), [a]);
    passMs(10_000);
    assert.deepEqual(registry.ended(), []);
    return Promise.resolve();
  });
}
