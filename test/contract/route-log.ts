import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeId } from '@lmqtt/common/ids';
import { StoreFailure } from '@lmqtt/common/store-failure';
import {
  eventually,
  leaseMs,
  openingOf,
  type RegistryUnderTest,
  type TestDs,
} from './registry-ds.ts';

const cs = nodeId('cs');
const holder = 'client' as never;

async function startAll(under: RegistryUnderTest, ...ids: string[]): Promise<TestDs[]> {
  const all: TestDs[] = [];
  for (const id of ids) all.push(await (await under.ds(id)).start());
  await eventually(() => all.every((ds) => ds.registry.nodes.ds.length === ids.length), 'all');
  for (const name of ['cs', 'cs1', 'cs2']) await all[0]!.joinCs(name);
  return all;
}

const sameRoutes = (one: TestDs, other: TestDs): boolean =>
  one.routes.join('\n') === other.routes.join('\n');

/** Checks each sentence of the comment of the port. */
export function routeLogContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  const check = (
    promise: string,
    work: (under: RegistryUnderTest, t: TestContext) => Promise<void>,
  ): void => {
    void test(`${name}: ${promise}`, (t) => work(make(t), t));
  };

  check('an opening is known on every ds when it resolves', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    for (let n = 0; n < 100; n += 1) {
      const opener = n % 2 === 0 ? a : b;
      const queue = await opener.open(`t/${n}`, { node: 'cs' });
      for (const ds of [a, b]) {
        assert.equal(ds.queues.get(queue), `t/${n}`);
        assert.ok(ds.interest.has(`${queue} cs ${opener.id}`));
      }
    }
  });

  check('changes are told in one order, each once', async (under) => {
    const [a, b, c] = (await startAll(under, 'a', 'b', 'c')) as [TestDs, TestDs, TestDs];
    await Promise.all(
      [a, b, c].flatMap((ds) =>
        Array.from({ length: 100 }, async (_, n) => {
          const queue = await ds.open(`t/${n}`, { node: `cs${(n % 2) + 1}` });
          if (n % 3 === 0) ds.registry.routeLog.uninterested(queue, nodeId(`cs${(n % 2) + 1}`));
        }),
      ),
    );
    for (const ds of [a, b, c]) await ds.registry.routeLog.settled();
    for (const ds of [a, b, c]) await ds.open('last', { node: 'cs' });
    const told = (ds: TestDs): unknown[] => ds.told.slice(ds.told.findLastIndex(isReset) + 1);
    assert.deepEqual(told(a), told(b));
    assert.deepEqual(told(a), told(c));
    const opened = a.told.filter(({ kind }) => kind === 'open');
    assert.equal(opened.length, 101);
    assert.equal(a.told.filter(({ kind }) => kind === 'interest').length, 303);
    assert.equal(a.told.filter(({ kind }) => kind === 'no interest').length, 102);
  });

  check('everything is told after a start, behind one reset', async (under) => {
    const [a] = (await startAll(under, 'a')) as [TestDs];
    const names = Array.from({ length: 3000 }, (_, n) => `t/${n}`);
    await a.registry.routeLog.open(names.map((topic) => openingOf(topic, 'cs', 'client')));
    const b = await (await under.ds('b')).start();
    assert.equal(b.queues.size, 3000);
    assert.ok(sameRoutes(a, b));
    assert.equal(b.told.filter(isReset).length, 1);
    assert.deepEqual(b.told[0], { kind: 'reset' });
    const open = b.told.find(({ kind }) => kind === 'open');
    assert.match(open?.kind === 'open' ? open.place : '', /^place of t\//);
  });

  check('a start while others open misses nothing', async (under) => {
    const [a] = (await startAll(under, 'a')) as [TestDs];
    let on = true;
    const opening = (async () => {
      for (let n = 0; on; n += 1) {
        const queue = await a.open(`t/${n}`, { node: 'cs' });
        if (n % 2 === 0) a.registry.routeLog.uninterested(queue, cs);
      }
    })();
    const b = await (await under.ds('b')).start();
    await delay(leaseMs);
    on = false;
    await opening;
    await a.registry.routeLog.settled();
    const last = await a.open('last', { node: 'cs' });
    assert.ok(b.queues.has(last));
    assert.deepEqual(b.routes, a.routes);
  });

  check('answers come in the order of the openings; one place for one name', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const names = ['x', 'y', 'x', 'z', 'y'];
    const queues = await a.registry.routeLog.open(names.map((topic) => openingOf(topic, 'cs')));
    assert.deepEqual(
      queues.map((queue) => a.queues.get(queue)),
      names,
    );
    const other = { ...openingOf('x', 'cs2'), place: 'another' };
    assert.deepEqual(await b.registry.routeLog.open([other]), [queues[0]]);
    const places = b.told.flatMap((change) => (change.kind === 'open' ? [change.place] : []));
    assert.deepEqual(places, ['place of x', 'place of y', 'place of z']);
  });

  check('a ds that is silent is waited for until its lease ends', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    await delay(2 * leaseMs);
    under.partition(b);
    const startedMs = performance.now();
    const queue = await a.open('t', { node: 'cs' });
    const waitedMs = performance.now() - startedMs;
    assert.ok(waitedMs > leaseMs / 3 && waitedMs < 20 * leaseMs, `${waitedMs}`);
    assert.equal(
      b.registry.nodes.leaseEndsMs === 0 || performance.now() < b.registry.nodes.leaseEndsMs + 50,
      true,
    );
    let known: boolean | undefined;
    b.registry.nodes.onLease((held) => {
      if (held) known = b.queues.has(queue);
    });
    under.heal(b);
    await eventually(() => known !== undefined, 'b is back');
    assert.equal(known, true, 'it knew the queue before its lease began again');
  });

  check('what is known and routed costs nothing', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const queue = await a.open('t', { node: 'cs' });
    under.partition(a);
    under.partition(b);
    assert.equal(await a.open('t', { node: 'cs' }), queue);
  });

  check('openings reject where the registry does not answer, and leave nothing', async (under) => {
    const [a] = (await startAll(under, 'a')) as [TestDs];
    under.partition(a);
    await assert.rejects(a.open('t', { node: 'cs' }), StoreFailure);
    under.heal(a);
    await eventually(() => a.leases.at(-1) === true, 'lease again');
    await a.registry.routeLog.settled();
    assert.equal(a.interest.size, 0);
  });

  check('release and uninterested come after the openings before them', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const { routeLog } = a.registry;
    const queue = await a.open('t', { node: 'cs', holder: 'client' });
    const again = a.open('u', { node: 'cs', holder: 'client' });
    routeLog.uninterested(queue, cs);
    routeLog.release(queue, holder);
    const other = await again;
    await routeLog.settled();
    assert.deepEqual(a.routes, [`${queue} t`, `${other} u`, `${other} cs a`].sort());
    await eventually(() => sameRoutes(a, b), 'on b');
    assert.deepEqual(await routeLog.sweep(0, 10), [{ queue, place: 'place of t' }]);
  });

  check('only what nobody holds is swept, and closed everywhere then', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const held = await a.open('held', { holder: 'client' });
    const wanted = await b.open('wanted', { node: 'cs' });
    const left = await a.open('left', { node: 'cs', holder: '$share/g' });
    const { routeLog } = a.registry;
    routeLog.uninterested(left, cs);
    await routeLog.settled();
    assert.deepEqual(await routeLog.sweep(0, 10), []);
    routeLog.release(left, '$share/g');
    await routeLog.settled();
    assert.deepEqual(await routeLog.sweep(60_000, 10), []);
    assert.deepEqual(await b.registry.routeLog.sweep(0, 10), [
      { queue: left, place: 'place of left' },
    ]);
    for (const ds of [a, b]) assert.deepEqual(new Set(ds.queues.keys()), new Set([held, wanted]));
    assert.deepEqual(await routeLog.sweep(0, 10), [], 'given to one ds alone');
    const opening = a.open('left', { node: 'cs' });
    const early = await Promise.race([opening, delay(200)]);
    assert.equal(early, undefined, 'an opening waits for the deletion');
    await b.registry.routeLog.swept([left]);
    assert.notEqual(await opening, left, 'another generation');
  });

  check('what is let go of and held anew in one turn counts both', async (under) => {
    const [a] = (await startAll(under, 'a')) as [TestDs];
    const { routeLog } = a.registry;
    const names = ['none', 'anew', 'twice', 'still'];
    const queues = await Promise.all(
      names.map((name) => a.open(name, { node: 'cs', holder: 'client' })),
    );
    const [, anew, twice, still] = queues;
    for (const queue of queues) routeLog.uninterested(queue, cs);
    for (const queue of queues) if (queue !== still) routeLog.release(queue, holder);
    const opened = a.open('anew', { node: 'cs' });
    routeLog.uninterested(twice!, cs);
    assert.equal(await opened, anew);
    await routeLog.settled();
    const swept = await routeLog.sweep(0, 10);
    assert.deepEqual(swept.map(({ place }) => place).toSorted(), [
      'place of none',
      'place of twice',
    ]);
    routeLog.release(still!, holder);
    routeLog.uninterested(anew!, cs);
    await routeLog.settled();
    assert.equal((await routeLog.sweep(0, 10)).length, 4, 'with those that are not deleted yet');
  });

  check('who opens while a queue is being closed keeps it', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const queue = await a.open('t', { node: 'cs' });
    a.registry.routeLog.uninterested(queue, cs);
    await a.registry.routeLog.settled();
    const [swept, opened] = await Promise.all([
      a.registry.routeLog.sweep(0, 10),
      b.open('t', { node: 'cs' }),
    ]);
    if (swept.length === 0) assert.equal(opened, queue);
    else assert.notEqual(opened, queue);
    assert.ok(a.queues.has(opened) && b.queues.has(opened));
  });

  check('a sweep of a ds that ended is gone on with by another', async (under) => {
    const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
    const queue = await a.open('t');
    assert.equal((await a.registry.routeLog.sweep(0, 10)).length, 1);
    await delay(2 * leaseMs);
    a.registry.close();
    await eventually(() => b.ended.some(({ id }) => id === 'a'), 'a judged');
    assert.deepEqual(await b.registry.routeLog.sweep(0, 10), [{ queue, place: 'place of t' }]);
  });

  check(
    'what was swept is told for a time, and is swept again where it is opened',
    async (under) => {
      const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
      assert.deepEqual(await a.registry.routeLog.sweptLately(), []);
      for (const name of ['first', 'second']) {
        const queue = await a.open(name);
        await a.registry.routeLog.sweep(0, 10);
        await a.registry.routeLog.swept([queue]);
      }
      const told = await b.registry.routeLog.sweptLately();
      assert.deepEqual(told.map(({ name, place }) => `${name}: ${place}`).toSorted(), [
        'first: place of first',
        'second: place of second',
      ]);
      const [again] = await b.registry.routeLog.open([
        { ...told[0]!, holder: undefined, node: undefined },
      ]);
      assert.deepEqual(await a.registry.routeLog.sweep(0, 10), [
        { queue: again, place: told[0]!.place },
      ]);
      await a.registry.routeLog.swept([again!]);
      assert.equal((await b.registry.routeLog.sweptLately()).length, 2);
    },
  );

  check('a queue identifier is never given twice', async (under) => {
    const [a] = (await startAll(under, 'a')) as [TestDs];
    const seen = new Set<number>();
    for (let n = 0; n < 20; n += 1) {
      const queue = await a.open('t');
      assert.ok(!seen.has(queue));
      seen.add(queue);
      await a.registry.routeLog.sweep(0, 10);
      await a.registry.routeLog.swept([queue]);
    }
  });

  check(
    'forget takes the interest of a node that ended, not of its next process',
    async (under) => {
      const [a, b] = (await startAll(under, 'a', 'b')) as [TestDs, TestDs];
      const first = await a.open('first', { node: 'cs' });
      const second = await b.open('second', { node: 'cs' });
      await a.registry.nodes.leave(cs, 'one');
      await a.joinCs('cs', 'two');
      await a.registry.routeLog.forget(cs, 'cs');
      await b.open('third', { node: 'cs' });
      await b.registry.routeLog.forget(cs, 'cs');
      const third = await a.open('third', { node: 'cs' });
      await eventually(() => sameRoutes(a, b), 'on both');
      assert.deepEqual([...a.interest].sort(), [`${third} cs a`, `${third} cs b`]);
      assert.deepEqual(new Set(a.queues.keys()), new Set([first, second, third]));
      await b.registry.nodes.stop();
      await eventually(() => a.ended.some(({ id }) => id === 'b'), 'b left');
      await a.registry.routeLog.forget(nodeId('b'), 'ds');
      assert.deepEqual([...a.interest], [`${third} cs a`]);
    },
  );
}

const isReset = ({ kind }: { kind: string }): boolean => kind === 'reset';
