import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { RegistryUnderTest } from './registry-ds.ts';

const detoursMax = 3;

/** Checks each sentence of the comment of the port, but for the loss. */
export function detoursContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  void test(`${name}: the first claim of a topic alone decides where it goes`, async (t) => {
    const under = make(t);
    const [one, other] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
    const [a, b] = [one.registry.detours, other.registry.detours];
    const x = (detour: string): { topic: string; detour: string }[] => [{ topic: 't/x', detour }];
    assert.equal(a.isClaimed('t/x'), false);
    await a.claim(x('first'));
    await b.claim(x('second'));
    for (const each of [a, b]) {
      assert.ok(each.isClaimed('t/x'));
      assert.equal(each.of('t/x'), 'first');
    }
    await a.claim([{ topic: 't/own', detour: '' }]);
    await b.claim([
      { topic: 't/own', detour: 'late' },
      { topic: 't/y', detour: 'y' },
      { topic: 't/y', detour: 'again' },
    ]);
    assert.ok(b.isClaimed('t/own'));
    assert.equal(b.of('t/own'), undefined);
    assert.equal(b.of('t/y'), 'y');
    assert.ok(await a.read());
    assert.equal(a.of('t/y'), 'y');
    assert.ok(!(await a.read()), 'nothing is new');
    await a.claim(['p', 'q', 'r'].map((topic) => ({ topic, detour: topic })));
    assert.equal(a.count, detoursMax);
    assert.equal(a.of('p'), 'p');
    assert.ok(a.isClaimed('q'));
    assert.equal(a.of('q'), undefined);
    under.partition(one);
    await assert.rejects(a.claim([{ topic: 's', detour: '' }]), StoreFailure);
    assert.ok(!a.isClaimed('s'));
  });

  void test(`${name}: what a ds does not know yet is read with its next claim`, async (t) => {
    const under = make(t);
    const [one, other] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
    const [a, b] = [one.registry.detours, other.registry.detours];
    await a.claim([{ topic: 'away', detour: 'elsewhere' }]);
    assert.ok(!b.isClaimed('away'));
    await b.claim([{ topic: 'else', detour: '' }]);
    assert.equal(b.of('away'), 'elsewhere');
  });

  void test(`${name}: many topics are claimed at once`, async (t) => {
    const ds = await (await make(t).ds('a')).start();
    const { detours } = ds.registry;
    const topics = Array.from({ length: 2000 }, (_, n) => `many/${n}`);
    await detours.claim(topics.map((topic) => ({ topic, detour: '' })));
    assert.ok(topics.every((topic) => detours.isClaimed(topic)));
    assert.equal(topics.filter((topic) => detours.isClaimed(`${topic}/other`)).length, 0);
  });
}
