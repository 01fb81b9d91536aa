import { after } from 'node:test';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { registryUnderTest } from './redis-registry.ts';
import { routeLogContract } from './route-log.ts';

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());
  routeLogContract('redis', (t) => registryUnderTest(t, redis));
}
