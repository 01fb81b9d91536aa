import assert from 'node:assert/strict';
import { after } from 'node:test';
import { openRedis } from '@lmqtt/ds/redis/connection';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { SessionKeys } from '@lmqtt/ds/session-store/redis/keys';
import type { StoredSession } from '@lmqtt/ds/session-store/stored-session';
import type { SessionRedis } from './redis-session-bench.ts';
import { underTest } from './redis-session-bench.ts';
import { sessionStoreContract } from './session-store.ts';
import { clusterSessionsContract } from './session-store-cluster.ts';
import {
  sessionLimits,
  sessionLimitsContract,
  sharedLimitsContract,
} from './session-store-limits.ts';
import { presentedSessionsContract } from './session-store-presented.ts';
import {
  olderSessionsContract,
  sessionUsersContract,
  sharedUsersContract,
} from './session-store-users.ts';

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
  sessionUsersContract(name, (t) => underTest(t, redis));
  sharedUsersContract(name, redis);
  const older = redis.newClusterId();
  const without = async ({ clientId }: StoredSession): Promise<void> => {
    const connection = await openRedis({ url: redis.url });
    const key = new SessionKeys(new RedisKeys(older)).session(clientId);
    assert.equal(await connection.command('HDEL', key, 'U'), 1);
    connection.close();
  };
  olderSessionsContract(name, (t) => underTest(t, redis, older), without);
  sessionLimitsContract(name, (t) => underTest(t, redis, redis.newClusterId(), sessionLimits));
  sharedLimitsContract(name, redis);
}
