// The routes on Redis when Redis loses changes, or everything.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { type RedisRegistryUnderTest, registryUnderTest } from './redis-registry.ts';
import { eventually, openingOf, type TestDs } from './registry-ds.ts';

const isReset = ({ kind }: { kind: string }): boolean => kind === 'reset';
const resets = (ds: TestDs): number => ds.told.filter(isReset).length;

async function two(
  t: TestContext,
  redis: RedisServer,
): Promise<{ under: RedisRegistryUnderTest; a: TestDs; b: TestDs }> {
  const under = registryUnderTest(t, redis);
  const a = await (await under.ds('a')).start();
  const b = await (await under.ds('b')).start();
  await eventually(() => a.registry.nodes.ds.length === 2, 'both');
  await a.joinCs('cs');
  return { under, a, b };
}

/** Both have the same routes, those that they hold among them, under the same identifiers. */
async function agree(a: TestDs, b: TestDs): Promise<void> {
  const last = await a.open('last', { node: 'cs' });
  assert.ok(b.queues.has(last));
  assert.deepEqual(a.routes, b.routes);
  for (const ds of [a, b]) {
    for (const { queue, name, node } of ds.holds) {
      assert.equal(a.queues.get(queue), name);
      if (node !== undefined) assert.ok(b.interest.has(`${queue} ${node} ${ds.id}`));
    }
  }
}

if (requireRedis().skip === false) {
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-redis-loss-'));
  const redis = await startRedis({ folder });
  after(async () => {
    await redis.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('killed and started again: nothing is lost, so that nothing is loaded', async (t) => {
    const { a, b } = await two(t, redis);
    await a.hold('x', { node: 'cs', holder: 'client' });
    await redis.kill9();
    const opening = b.hold('y', { node: 'cs' });
    await redis.start();
    await opening;
    await agree(a, b);
    assert.deepEqual([resets(a), resets(b)], [1, 1]);
  });

  test('emptied: what each ds holds is stored again, the rest is told anew', async (t) => {
    const { under, a, b } = await two(t, redis);
    const mine = await a.hold('mine', { node: 'cs', holder: 'client' });
    const others = await b.hold('other', { node: 'cs' });
    const nobodys = await a.open('nobody', { node: 'cs' });
    let missing = false;
    const watching = setInterval(() => {
      missing ||= ![a, b].every((ds) => ds.queues.has(mine) && ds.queues.has(others));
    }, 1);
    t.after(() => clearInterval(watching));
    await redis.command('flushall');
    await eventually(() => resets(a) === 2 && resets(b) === 2, 'loaded again');
    await agree(a, b);
    assert.equal(missing, false, 'routes were used meanwhile');
    const again = await b.open('nobody');
    assert.ok(again > nobodys, 'no identifier is given twice');
    assert.ok(under.lines.some((line) => line.includes('EMPTY')));
    assert.deepEqual(await b.registry.routeLog.sweep(0, 1), [
      { queue: again, place: 'place of nobody' },
    ]);
  });

  test('an opening while Redis is emptied is known on all', async (t) => {
    const { a, b } = await two(t, redis);
    const opened = Array.from({ length: 50 }, (_, n) =>
      (n % 2 === 0 ? a : b).open(`t/${n}`, { node: 'cs' }),
    );
    const [queues] = await Promise.all([Promise.all(opened), redis.command('flushall')]);
    const later = await b.open('later', { node: 'cs' });
    assert.equal(new Set([...queues, later]).size, 51);
    assert.ok(a.queues.has(later));
    await eventually(() => resets(a) === 2 && resets(b) === 2, 'loaded again');
    await agree(a, b);
  });

  test('an older copy of Redis: what was lost of it is stored again', async (t) => {
    const { under, a, b } = await two(t, redis);
    await a.hold('before', { node: 'cs', holder: 'client' });
    const copy = `${folder}.copy`;
    cpSync(folder, copy, { recursive: true });
    t.after(() => rmSync(copy, { recursive: true, force: true }));
    await a.hold('after', { node: 'cs', holder: 'client' });
    await b.hold('of b', { node: 'cs' });
    await redis.kill9();
    rmSync(join(folder, 'appendonlydir'), { recursive: true, force: true });
    cpSync(join(copy, 'appendonlydir'), join(folder, 'appendonlydir'), { recursive: true });
    await redis.start();
    await eventually(() => resets(a) === 2 && resets(b) === 2, 'loaded again');
    await agree(a, b);
    assert.ok(under.lines.some((line) => line.includes('lost changes')));
    const ended = [...a.ended, ...b.ended].filter(({ role }) => role === 'ds');
    assert.deepEqual(ended, []);
  });

  test('a ds that was judged tells again what it holds', async (t) => {
    const { under, a, b } = await two(t, redis);
    await b.hold('mine', { node: 'cs', holder: 'client' });
    under.partition(b);
    await eventually(() => a.ended.some(({ id }) => id === 'b'), 'b judged');
    await a.registry.routeLog.forget(b.id, 'ds');
    await a.open('meanwhile', { node: 'cs' });
    assert.equal(a.interest.size, 1);
    under.heal(b);
    await eventually(() => b.leases.at(-1) === true, 'b is back');
    await agree(a, b);
  });

  test('a ds that was away for longer than the log is kept loads everything', async (t) => {
    const { under, a, b } = await two(t, redis);
    under.partition(b);
    await eventually(() => a.ended.some(({ id }) => id === 'b'), 'b judged');
    await a.registry.routeLog.open(Array.from({ length: 300 }, (_, n) => openingOf(`t/${n}`)));
    await a.open('last but one', { node: 'cs' });
    await redis.command('xtrim', under.keys.registry('log'), 'maxlen', '1');
    under.cut(b);
    under.heal(b);
    await eventually(() => b.leases.at(-1) === true && resets(b) === 2, 'b is back');
    await agree(a, b);
    assert.equal(resets(a), 1);
  });
}
