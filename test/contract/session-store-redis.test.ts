import { after } from 'node:test';
import { requireRedis } from '../harness/require.ts';
import { SessionRedis, underTest } from './redis-session-bench.ts';
import { sessionStoreContract } from './session-store.ts';
import { clusterSessionsContract } from './session-store-cluster.ts';
import { presentedSessionsContract } from './session-store-presented.ts';

async function over(name: string, start: () => Promise<SessionRedis>): Promise<void> {
  const redis = await start();
  after(() => redis.close());
  sessionStoreContract(name, (t) => underTest(t, redis));
  presentedSessionsContract(name, (t) => underTest(t, redis));
  clusterSessionsContract(name, redis);
}

if (requireRedis().skip === false) {
  await over('redis', () => SessionRedis.single());
  await over('redis cluster', () => SessionRedis.cluster());
}
