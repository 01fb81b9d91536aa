import assert from 'node:assert/strict';
import { it } from 'node:test';

import { startRedis } from '../../harness/redis/redis-server.ts';
import { requireRedis } from '../../harness/require.ts';
import { scripts } from '@lmqtt/ds/session-store/redis/scripts';
import { until } from '../../harness/redis/until.ts';
import { type RedisCounts, RedisMonitor } from './redis-monitor.ts';

it('counts what clients send, a script once', requireRedis(), async () => {
  const redis = await startRedis();
  const monitor = await RedisMonitor.start(redis.port);
  try {
    const inner = "redis.call('SET', KEYS[1], 'x y') redis.call('GET', KEYS[1]) return 1";
    await redis.command('SET', 'a "b"', 'c');
    assert.equal(await redis.command('EVAL', inner, '1', 'key'), '1');
    await redis.command('EVALSHA', scripts.write.sha1, '1', 'key').catch(() => undefined);
    const counts = (): RedisCounts => monitor.between(0, Infinity);
    await until(async () => counts().commands >= 3, 5000, 'three commands');
    assert.deepEqual(counts(), {
      commands: 3,
      leases: 0,
      byName: { SET: 1, EVAL: 1, 'session-store/write': 1 },
    });
    assert.equal(monitor.between(0, 1).commands, 0);
  } finally {
    monitor.stop();
    await redis.close();
  }
});
