// The nodes of a cluster while Redis is away for long.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeId } from '@lmqtt/common/ids';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { registryUnderTest } from './redis-registry.ts';
import { eventually, leaseMs } from './registry-ds.ts';

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());

  for (const [how, goAway, comeBack] of [
    ['paused', () => redis.pause(), () => redis.resume()],
    ['killed', () => redis.kill9(), () => redis.start()],
  ] as const) {
    test(`redis ${how} for ten leases: nobody is judged`, async (t) => {
      const under = registryUnderTest(t, redis);
      const [a, b] = [await (await under.ds('a')).start(), await (await under.ds('b')).start()];
      await a.joinCs('cs');
      const renewing = setInterval(() => {
        for (const ds of [a, b]) ds.registry.nodes.renew(nodeId('cs'), 'one', 1).catch(() => {});
      }, leaseMs / 3);
      t.after(() => clearInterval(renewing));
      await delay(3 * leaseMs);
      await goAway();
      await delay(10 * leaseMs);
      assert.deepEqual([a.leases.at(-1), b.leases.at(-1)], [false, false]);
      await comeBack();
      const back = (): boolean => a.leases.at(-1) === true && b.leases.at(-1) === true;
      await eventually(back, 'leases again');
      await delay(4 * leaseMs);
      assert.deepEqual([a.ended, b.ended], [[], []]);
    });
  }
}
