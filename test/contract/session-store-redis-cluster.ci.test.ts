import { requireRedis } from '../harness/require.ts';
import { SessionRedis } from './redis-session-bench.ts';
import { sessionsOverRedis } from './session-store-over-redis.ts';

if (requireRedis().skip === false)
  await sessionsOverRedis('redis cluster', () => SessionRedis.cluster());
