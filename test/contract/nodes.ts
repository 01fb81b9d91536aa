import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeId } from '@lmqtt/common/ids';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { NodeIdInUse } from '@lmqtt/ds/registry/node-id-in-use';
import {
  eventually,
  leaseMs,
  recordOf,
  type RegistryUnderTest,
  type TestDs,
} from './registry-ds.ts';

const cs = nodeId('cs');

/** Renews a cs at a ds until it is stopped or refused. */
function keepAlive(ds: TestDs, id: string, instance = 'one'): { stop(): void } {
  const timer = setInterval(() => {
    ds.registry.nodes.renew(nodeId(id), instance, 3).catch(() => undefined);
  }, leaseMs / 4);
  return { stop: () => clearInterval(timer) };
}

const saw = (ds: TestDs, id: string): boolean => ds.ended.some((ended) => ended.id === id);

/** Checks each sentence of the comment of the port. */
export function nodesContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  const check = (
    promise: string,
    work: (under: RegistryUnderTest, t: TestContext) => Promise<void>,
  ): void => {
    void test(`${name}: ${promise}`, (t) => work(make(t), t));
  };

  check('a lease is counted from before its renewal, and renewed', async (under) => {
    const ds = await under.ds('a');
    const { nodes } = ds.registry;
    assert.equal(nodes.leaseEndsMs, 0);
    const beforeMs = performance.now();
    await ds.start();
    assert.ok(nodes.leaseEndsMs >= beforeMs + leaseMs);
    assert.ok(nodes.leaseEndsMs <= performance.now() + leaseMs);
    const firstMs = nodes.leaseEndsMs;
    await eventually(() => nodes.leaseEndsMs > firstMs + leaseMs, 'renewals');
    assert.deepEqual(ds.leases, [true]);
  });

  check('who does not reach the registry loses its own lease first', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    await eventually(() => a.registry.nodes.ds.length === 2, 'both');
    await delay(2 * leaseMs);
    under.partition(b);
    let toldMs = 0;
    b.registry.nodes.onLease((held) => {
      if (!held) toldMs = performance.now();
    });
    await eventually(() => saw(a, 'b'), 'b judged');
    assert.ok(toldMs > 0, 'b knew before');
    assert.equal(b.registry.nodes.leaseEndsMs, 0);
    under.heal(b);
    await eventually(() => b.leases.at(-1) === true, 'b is back');
    assert.deepEqual(b.leases.slice(-3), [true, false, true]);
    await eventually(() => a.registry.nodes.ds.length === 2, 'both again');
    assert.equal(a.ended.length, 1);
    assert.ok(!saw(b, 'b'), 'nobody is told its own end');
  });

  check('nobody is judged before two leases of renewals without a break', async (under) => {
    const ds = await under.ds('a');
    const startedMs = performance.now();
    const a = await ds.start();
    await a.joinCs('cs');
    await eventually(() => saw(a, 'cs'), 'judged');
    assert.ok(performance.now() - startedMs >= 2 * leaseMs - 50);
    assert.deepEqual(
      a.ended.map(({ id, role, instance, left }) => ({ id, role, instance, left })),
      [{ id: 'cs', role: 'cs', instance: 'one', left: false }],
    );
  });

  check('each end is told once to every ds', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    await a.joinCs('cs');
    await a.joinCs('leaver');
    await a.registry.nodes.leave(nodeId('leaver'), 'one');
    for (const ds of [a, b]) await eventually(() => saw(ds, 'cs') && saw(ds, 'leaver'), 'told');
    await delay(leaseMs);
    for (const ds of [a, b]) {
      assert.deepEqual(
        ds.ended.map(({ id, left }) => [id, left]),
        [
          ['leaver', true],
          ['cs', false],
        ],
      );
    }
  });

  check(
    'renewals by any ds keep a cs; one that was judged is refused until it joins',
    async (under) => {
      const a = await (await under.ds('a')).start();
      const b = await (await under.ds('b')).start();
      await a.joinCs('cs');
      const alive = keepAlive(b, 'cs');
      await delay(4 * leaseMs);
      assert.ok(!saw(a, 'cs') && !saw(b, 'cs'));
      alive.stop();
      assert.equal(await a.registry.nodes.renew(cs, 'other', 0), false);
      await eventually(() => saw(a, 'cs') && saw(b, 'cs'), 'judged');
      assert.equal(await b.registry.nodes.renew(cs, 'one', 0), false);
      await b.joinCs('cs', 'one');
      assert.equal(await a.registry.nodes.renew(cs, 'one', 0), true);
    },
  );

  check('another instance is refused while the lease lasts', async (under) => {
    const a = await (await under.ds('a')).start();
    await a.joinCs('cs');
    await assert.rejects(a.joinCs('cs', 'two'), NodeIdInUse);
    await a.joinCs('cs', 'one');
    await a.registry.nodes.leave(cs, 'two');
    assert.equal(await a.registry.nodes.renew(cs, 'one', 0), true);
    await a.registry.nodes.leave(cs, 'one');
    await a.joinCs('cs', 'two');
    assert.equal(await a.registry.nodes.renew(cs, 'one', 0), false);
    assert.equal(await a.registry.nodes.renew(cs, 'two', 0), true);
    const twin = await under.ds('a');
    await assert.rejects(twin.start(), NodeIdInUse);
  });

  check('a ds that was killed comes back under its id when its lease has ended', async (under) => {
    const a = await (await under.ds('a')).start();
    a.registry.close();
    const startedMs = performance.now();
    const again = await (await under.ds('a')).start();
    assert.ok(performance.now() - startedMs < 20 * leaseMs);
    assert.ok(again.registry.nodes.leaseEndsMs > 0);
  });

  check('an ended cs is settled by one ds at a time', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    await a.joinCs('cs');
    await a.registry.nodes.leave(cs, 'one');
    const taken = await Promise.all([a, b].map((ds) => ds.registry.nodes.takeEnded()));
    assert.deepEqual(taken.flat().length, 1);
    const [taker, other] = taken[0]!.length === 1 ? [a, b] : [b, a];
    assert.deepEqual(await taker.registry.nodes.takeEnded(), []);
    taker.registry.close();
    await eventually(() => saw(other, taker.id), 'taker judged');
    const [again] = await other.registry.nodes.takeEnded();
    assert.deepEqual([again?.id, again?.instance, again?.left], ['cs', 'one', true]);
    await other.registry.nodes.settled(again!);
    const third = await (await under.ds('c')).start();
    assert.deepEqual(await third.registry.nodes.takeEnded(), []);
  });

  check('drain takes a ds out of the list; stop tells the others', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    const ids = (): string => a.registry.nodes.ds.map(({ id }) => id).join();
    await eventually(() => ids() === 'a,b', 'both');
    let changes = 0;
    a.registry.nodes.onChange(() => {
      changes += 1;
    });
    await b.registry.nodes.drain();
    await eventually(() => ids() === 'a', 'b drains');
    assert.equal(changes, 1);
    const states = async (): Promise<Record<string, string>> =>
      Object.fromEntries((await a.registry.nodes.list()).map(({ id, state }) => [id, state]));
    assert.deepEqual(await states(), { a: 'alive', b: 'draining' });
    await b.registry.nodes.stop();
    await eventually(() => saw(a, 'b'), 'b left');
    assert.equal(a.ended[0]?.left, true);
    assert.deepEqual(await states(), { a: 'alive', b: 'gone' });
  });

  check('a drain is taken back; a cs tells of its own with each renewal', async (under) => {
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    const ids = (): string => a.registry.nodes.ds.map(({ id }) => id).join();
    await eventually(() => ids() === 'a,b', 'both are there');
    await b.registry.nodes.drain();
    await eventually(() => ids() === 'a', 'b drains');
    assert.deepEqual([...a.registry.nodes.aliveDs].sort(), ['a', 'b']);
    await b.registry.nodes.undrain();
    await eventually(() => ids() === 'a,b', 'b is there again');
    const state = async (): Promise<string | undefined> =>
      (await a.registry.nodes.list()).find(({ id }) => id === 'cs')?.state;
    await a.joinCs('cs');
    await a.registry.nodes.renew(cs, 'one', 7, true);
    assert.equal(await state(), 'draining');
    assert.equal(ids(), 'a,b');
    await a.registry.nodes.renew(cs, 'one', 7);
    assert.equal(await state(), 'alive');
    // The next process of that name takes clients.
    await a.registry.nodes.renew(cs, 'one', 7, true);
    await a.registry.nodes.leave(cs, 'one');
    await a.joinCs('cs', 'two');
    assert.equal(await state(), 'alive');
  });

  check('the list has what each node says of itself', async (under) => {
    const a = await (await under.ds('a')).start();
    await a.joinCs('cs');
    await a.registry.nodes.renew(cs, 'one', 7);
    const line = (await a.registry.nodes.list()).find(({ id }) => id === 'cs')!;
    const { leaseAgeMs, ...rest } = line;
    assert.deepEqual(rest, { ...recordOf('cs', 'cs', 'one'), state: 'alive', connections: 7 });
    assert.ok(leaseAgeMs >= 0 && leaseAgeMs < leaseMs);
  });

  check('calls reject where the registry does not answer', async (under) => {
    const a = await (await under.ds('a')).start();
    await a.joinCs('cs');
    under.partition(a);
    await assert.rejects(a.registry.nodes.renew(cs, 'one', 0), StoreFailure);
    await assert.rejects(a.registry.nodes.takeEnded(), StoreFailure);
    await assert.rejects(a.joinCs('other'), StoreFailure);
  });
}
