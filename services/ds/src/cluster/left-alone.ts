// Messages of back ends that the ds nodes of a cluster have left alone, kept in Redis for
// `lmqtt unmapped`: for each reason and RocketMQ topic a number and the last message.
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import type { LeftAlone, LeftAloneLine } from '../queue-store/rocketmq/left-alone.ts';
import { openRedis, type RedisConnection } from '../redis/connection.ts';
import { RedisKeys } from '../redis/keys.ts';
import { listOf, textOf } from '../registry/redis/registry-reply.ts';
import { isRecord } from '../rocketmq/remoting/json.ts';

const answerMs = 5000;
/** Reasons and topics together; past that new ones are not kept. */
const linesMax = 10_000;

/** A reason and a RocketMQ topic, since the cluster began. */
export interface UnmappedLine {
  readonly reason: string;
  readonly rocketTopic: string;
  readonly count: number;
  /** undefined: not known. */
  readonly last: LeftAlone | undefined;
}

/** Adds what one ds has left alone since it was asked last. */
export async function storeLeftAlone(
  redis: RedisConnection,
  keys: RedisKeys,
  lines: readonly LeftAloneLine[],
): Promise<void> {
  if (lines.length === 0) return;
  const [counts, lasts] = keysOf(keys);
  const isFull = Number(textOf(await redis.command('HLEN', counts))) >= linesMax;
  await Promise.all(
    lines.map(async ({ reason, rocketTopic, count, last }) => {
      const field = `${reason}\n${rocketTopic}`;
      if (isFull && textOf(await redis.command('HEXISTS', counts, field)) === '0') return;
      await redis.command('HINCRBY', counts, field, `${count}`);
      if (last !== undefined) await redis.command('HSET', lasts, field, JSON.stringify(last));
    }),
  );
}

/** The latest first. Rejects where Redis does not answer. Throws SettingsError. */
export async function listLeftAlone(settings: Settings): Promise<UnmappedLine[]> {
  if (settings.redisUrl === null)
    throw new SettingsError('messages of back ends are those of a cluster: set REDIS_URL');
  const redis = await openRedis({
    ...{ url: settings.redisUrl, tlsCa: settings.redisTlsCa, tlsCert: settings.redisTlsCert },
    ...{ tlsKey: settings.redisTlsKey, commandTimeoutMs: answerMs, openTimeoutMs: answerMs },
  });
  try {
    const [counts, lasts] = keysOf(new RedisKeys(settings.clusterId));
    const [counted, told] = await Promise.all([hashOf(redis, counts), hashOf(redis, lasts)]);
    const lines = [...counted].map(([field, count]): UnmappedLine => {
      const [reason = '', rocketTopic = ''] = field.split('\n');
      return { reason, rocketTopic, count: Number(count), last: lastOf(told.get(field)) };
    });
    return lines.sort((one, other) => (other.last?.storedMs ?? 0) - (one.last?.storedMs ?? 0));
  } finally {
    redis.close();
  }
}

function keysOf(keys: RedisKeys): readonly [counts: string, lasts: string] {
  return [keys.registry('left-alone'), keys.registry('left-alone-last')];
}

async function hashOf(redis: RedisConnection, key: string): Promise<Map<string, string>> {
  const texts = listOf(await redis.command('HGETALL', key)).map(textOf);
  const hash = new Map<string, string>();
  for (let at = 0; at < texts.length; at += 2) hash.set(texts[at]!, texts[at + 1]!);
  return hash;
}

function lastOf(text: string | undefined): LeftAlone | undefined {
  const value: unknown = text === undefined ? undefined : JSON.parse(text);
  if (!isRecord(value)) return undefined;
  const said = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  const number = (name: string): number => (typeof value[name] === 'number' ? value[name] : 0);
  return {
    broker: said('broker'),
    queueId: number('queueId'),
    queueOffset: number('queueOffset'),
    key: said('key'),
    tag: said('tag'),
    mqttTopic: said('mqttTopic'),
    storedMs: number('storedMs'),
  };
}
