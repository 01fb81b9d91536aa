import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { Ownership } from '@lmqtt/ds/registry/ownership';
import { eventually, type RegistryUnderTest } from './registry-ds.ts';

async function own(
  ownership: Ownership,
  thing: string,
): Promise<{ readonly owner: string; readonly epoch: number }> {
  const [owned] = await ownership.acquire([thing]);
  return owned!;
}

/** Checks each sentence of the comment of the port. */
export function ownershipContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  const check = (promise: string, work: (under: RegistryUnderTest) => Promise<void>): void => {
    void test(`${name}: ${promise}`, (t) => work(make(t)));
  };

  check('a thing has one owner, until that releases it', async (under) => {
    const a = (await (await under.ds('a')).start()).registry.ownership;
    const b = (await (await under.ds('b')).start()).registry.ownership;
    const [first, ...rest] = await Promise.all([a, b, a, b].map((one) => own(one, 'tail')));
    for (const other of rest) assert.deepEqual(other, first);
    const [owner, other] = first!.owner === 'a' ? [a, b] : [b, a];
    await other.release(['tail']);
    assert.deepEqual(await own(other, 'tail'), first);
    await owner.release(['tail']);
    const next = await own(other, 'tail');
    assert.notEqual(next.owner, first!.owner);
    assert.ok(next.epoch > first!.epoch);
    assert.deepEqual(
      (await owner.acquire(['x', 'tail', 'y'])).map((owned) => owned.owner === next.owner),
      [false, true, false],
    );
  });

  check('another has it when the owner was judged, not before', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    const first = await own(a.registry.ownership, 'tail');
    under.partition(a);
    assert.equal((await own(b.registry.ownership, 'tail')).owner, 'a');
    await eventually(() => b.ended.some(({ id }) => id === 'a'), 'a judged');
    assert.equal(a.registry.nodes.leaseEndsMs, 0);
    const next = await own(b.registry.ownership, 'tail');
    assert.equal(next.owner, 'b');
    assert.ok(next.epoch > first.epoch);
    under.heal(a);
    await eventually(() => a.leases.at(-1) === true, 'a is back');
    assert.deepEqual(await own(a.registry.ownership, 'tail'), next);
    assert.equal(await a.registry.ownership.save('tail', first.epoch, 'old'), false);
    assert.equal(await a.registry.ownership.save('tail', next.epoch, 'old'), false);
  });

  check('a text is saved by its owner with that epoch alone, and read by all', async (under) => {
    const a = (await (await under.ds('a')).start()).registry.ownership;
    const b = (await (await under.ds('b')).start()).registry.ownership;
    const { epoch } = await own(a, 'tail');
    const saved = await Promise.all([
      a.save('tail', epoch, 'one'),
      a.save('tail', epoch - 1, 'two'),
      a.save('other', epoch, 'three'),
      b.save('tail', epoch, 'four'),
    ]);
    assert.deepEqual(saved, [true, false, false, false]);
    assert.deepEqual(await b.load(['other', 'tail']), [undefined, 'one']);
    assert.equal(await a.save('tail', epoch, ''), true);
    assert.deepEqual(await b.load(['tail']), [undefined]);
  });

  check('calls reject where the registry does not answer', async (under) => {
    const ds = await (await under.ds('a')).start();
    const { ownership } = ds.registry;
    under.partition(ds);
    await Promise.all([
      assert.rejects(ownership.acquire(['x']), StoreFailure),
      assert.rejects(ownership.release(['x']), StoreFailure),
      assert.rejects(ownership.save('x', 1, ''), StoreFailure),
      assert.rejects(ownership.load(['x']), StoreFailure),
    ]);
  });
}
