import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeId } from '@lmqtt/common/ids';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { nodesContract } from './nodes.ts';
import { registryUnderTest } from './redis-registry.ts';
import { eventually, leaseMs } from './registry-ds.ts';

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());
  nodesContract('redis', (t) => registryUnderTest(t, redis));

  test('a ds that starts waits for a Redis that has stopped answering', async (t) => {
    const under = registryUnderTest(t, redis);
    const ds = await under.ds('a');
    under.partition(ds);
    const started = ds.start();
    const said = (): boolean => under.lines.some((line) => line.includes('does not answer'));
    await Promise.race([started, eventually(said, 'said')]);
    under.heal(ds);
    await started;
    await eventually(() => ds.leases.at(-1) === true, 'lease');
  });

  test('an emptied Redis: said loudly, and all are members again, nobody is judged', async (t) => {
    const under = registryUnderTest(t, redis);
    const [a, b] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
    await a.joinCs('cs');
    const renewing = setInterval(() => {
      a.registry.nodes.renew(nodeId('cs'), 'one', 1).catch(() => {});
    }, leaseMs / 3);
    t.after(() => clearInterval(renewing));
    await a.registry.records.remember('topic', 'x', 'y');
    await redis.command('flushall');
    await eventually(() => under.lines.some((line) => line.includes('EMPTY')), 'said');
    await delay(3 * leaseMs);
    const states = (await b.registry.nodes.list()).map(({ id, state }) => `${id} ${state}`);
    assert.deepEqual(states.sort(), ['a alive', 'b alive', 'cs alive']);
    assert.deepEqual([a.ended, b.ended], [[], []]);
    // A busy machine may lose one for a moment.
    await eventually(() => a.leases.at(-1) === true && b.leases.at(-1) === true, 'leases');
    assert.equal(await b.registry.records.remember('topic', 'x', 'z'), 'y');
  });
}
