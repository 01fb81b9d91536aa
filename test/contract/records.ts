import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { RegistryUnderTest } from './registry-ds.ts';

/** Checks each sentence of the comment of the port, but for the loss. */
export function recordsContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  void test(`${name}: what is recorded once stands`, async (t) => {
    const under = make(t);
    const [one, other] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
    const [a, b] = [one.registry.records, other.registry.records];
    assert.equal(await a.remember('topic', 'x', 'first'), 'first');
    assert.equal(await b.remember('topic', 'x', 'second'), 'first');
    assert.equal(await b.remember('other', 'x', 'second'), 'second');
    const names = ['p', 'q', 'p', 'r', 'q'];
    const numbers = await Promise.all(
      names.map((key, index) => (index % 2 === 0 ? a : b).numberOf('broker', key)),
    );
    assert.deepEqual([numbers[2], numbers[4]], [numbers[0], numbers[1]]);
    assert.deepEqual(new Set(numbers), new Set([0, 1, 2]));
    assert.deepEqual(
      await a.all('broker'),
      new Map(names.map((key, index) => [key, String(numbers[index])])),
    );
    assert.deepEqual(await a.all('none'), new Map());
    under.partition(one);
    assert.equal(await a.numberOf('broker', 'p'), numbers[0]);
    await assert.rejects(a.numberOf('broker', 's'), StoreFailure);
  });
}
