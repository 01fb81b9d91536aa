// Calls of a Redis connection under test, and how they end.
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import { openRedis, type RedisConnection } from '@lmqtt/ds/redis/connection';
import { RedisUnavailable } from '@lmqtt/ds/redis/failure';
import type { Script } from '@lmqtt/ds/redis/script';

export const timeoutMs = 1000;

function scriptOf(source: string): Script {
  return { name: 'test', source, sha1: createHash('sha1').update(source).digest('hex') };
}

export const increment: Script = scriptOf("return { redis.call('INCR', KEYS[1]), ARGV[1] }");

export async function opened(t: TestContext, url: string): Promise<RedisConnection> {
  const connection = await openRedis({ url, commandTimeoutMs: timeoutMs });
  t.after(() => connection.close());
  return connection;
}

/** How it ended, and after how many milliseconds. */
export async function ended(work: Promise<unknown>): Promise<{ outcome: string; ms: number }> {
  const startMs = performance.now();
  const outcome = await work.then(
    () => 'done',
    (error: unknown) => (error instanceof RedisUnavailable ? error.outcome : String(error)),
  );
  return { outcome, ms: performance.now() - startMs };
}
