import { after } from 'node:test';
import type { SessionRedis } from './redis-session-bench.ts';
import { underTest } from './redis-session-bench.ts';
import { sessionStoreContract } from './session-store.ts';
import { clusterSessionsContract } from './session-store-cluster.ts';
import { presentedSessionsContract } from './session-store-presented.ts';

/** All that sessions promise, over a Redis of that kind. */
export async function sessionsOverRedis(
  name: string,
  start: () => Promise<SessionRedis>,
): Promise<void> {
  const redis = await start();
  after(() => redis.close());
  sessionStoreContract(name, (t) => underTest(t, redis));
  presentedSessionsContract(name, (t) => underTest(t, redis));
  clusterSessionsContract(name, redis);
}
