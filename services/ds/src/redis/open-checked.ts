// Redis at the start of a ds: waited for where it is not there yet, refused where it is not fit.
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { checkRedis, refusalOf } from './checks.ts';
import { openRedis, type RedisConnection } from './connection.ts';
import { RedisUnavailable } from './failure.ts';

interface RedisStart {
  readonly settings: Settings;
  readonly logs: Logs;
  readonly clock: Clock;
  /** Aborted when the process is to stop before everything is there. */
  readonly stopping: AbortSignal;
}

const retryMs = 500;
const sayMs = 5000;

/** Throws SettingsError where a server is there and is not fit: that is not waited for. */
export function openCheckedRedis(start: RedisStart): Promise<RedisConnection> {
  const { settings, logs } = start;
  return untilRedisServes(start, async () => {
    const redis = await openRedis({
      url: settings.redisUrl ?? '',
      tlsCa: settings.redisTlsCa,
      tlsCert: settings.redisTlsCert,
      tlsKey: settings.redisTlsKey,
      commandTimeoutMs: settings.redisCommandTimeoutMs,
      name: settings.nodeId,
      openTimeoutMs: sayMs,
    });
    try {
      const strict = settings.redisDurability === 'strict';
      const findings = await checkRedis(redis, { strict });
      const refusal = refusalOf(redis.where, findings);
      if (refusal !== undefined) throw new SettingsError(refusal);
      for (const { name, state, found, fix } of findings)
        if (state === 'warn')
          logs.broker.warn({ name, found, fix }, 'Redis keeps less than it should');
      return redis;
    } catch (error) {
      redis.close();
      throw error;
    }
  });
}

/** Tries until Redis serves or the process is to stop; says so now and then. */
export async function untilRedisServes<T>(
  { logs, stopping, clock }: RedisStart,
  work: () => Promise<T>,
): Promise<T> {
  let saidMs = -Infinity;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      stopping.throwIfAborted();
      if (clock.monotonicMs() - saidMs >= sayMs) {
        saidMs = clock.monotonicMs();
        logs.broker.warn({ reason: error.message }, 'waiting for Redis');
      }
      await delay(retryMs, undefined, { signal: stopping });
    }
  }
}
