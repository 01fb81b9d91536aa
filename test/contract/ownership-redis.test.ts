import { after } from 'node:test';
import { startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis } from '../harness/require.ts';
import { inboxContract } from './inbox.ts';
import { ownershipContract } from './ownership.ts';
import { detoursContract } from './detours.ts';
import { recordsContract } from './records.ts';
import { registryUnderTest } from './redis-registry.ts';

if (requireRedis().skip === false) {
  const redis = await startRedis();
  after(() => redis.close());
  ownershipContract('redis', (t) => registryUnderTest(t, redis));
  inboxContract('redis', (t) => registryUnderTest(t, redis));
  recordsContract('redis', (t) => registryUnderTest(t, redis));
  detoursContract('redis', (t) => registryUnderTest(t, redis));
}
