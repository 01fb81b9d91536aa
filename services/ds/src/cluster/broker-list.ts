// The brokers of RocketMQ as a cluster knows them, for `lmqtt brokers`: no ds is asked.
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { openRedis, type RedisConnection } from '../redis/connection.ts';
import { RedisKeys } from '../redis/keys.ts';
import { listOf, textOf } from '../registry/redis/registry-reply.ts';
import { clientSettings } from '../rocketmq/client-settings.ts';
import {
  brokerOfKey,
  brokerRecordKind,
  forgottenIn,
  forgottenRecordKind,
  forgottenText,
  placementRecordKind,
} from '../rocketmq/names/broker-records.ts';
import { RocketmqClient } from '../rocketmq/remoting/client.ts';
import { RecordedRemotingEvents } from '../rocketmq/remoting/recorded-events.ts';
import { isRecord } from '../rocketmq/remoting/json.ts';
import { SessionKeys } from '../session-store/redis/keys.ts';

const answerMs = 3000;

export interface BrokerLine {
  readonly name: string;
  readonly number: number;
  /** unknown: no name server answers. */
  readonly state: 'there' | 'away' | 'forgotten' | 'unknown';
  /** Address of its master, where it is there. */
  readonly address: string | undefined;
  /** RocketMQ topics whose messages are stored there now. */
  readonly topics: readonly string[];
  readonly forgottenAtMs: number | undefined;
}

interface BrokerList {
  readonly brokers: readonly BrokerLine[];
  readonly storedSessions: number;
  /** Why no name server could be asked; undefined: one answered. */
  readonly unasked: string | undefined;
}

/** In the order of their numbers. Throws SettingsError; rejects where Redis does not answer. */
export function listBrokers(settings: Settings): Promise<BrokerList> {
  return withRedis(settings, (redis, keys) => listed(settings, redis, keys));
}

type ForgetAnswer =
  | { readonly kind: 'forgotten'; readonly broker: BrokerLine; readonly storedSessions: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** Every ds takes note of it with its next look at the brokers. */
export function forgetBroker(settings: Settings, name: string): Promise<ForgetAnswer> {
  return withRedis(settings, async (redis, keys) => {
    const { brokers, storedSessions, unasked } = await listed(settings, redis, keys);
    const broker = brokers.find((each) => each.name === name && each.state !== 'forgotten');
    const refused = (reason: string): ForgetAnswer => ({ kind: 'refused', reason });
    if (broker === undefined) {
      const was = brokers.some((each) => each.name === name);
      return refused(was ? `${name} is forgotten already` : `this cluster knows no broker ${name}`);
    }
    if (unasked !== undefined)
      return refused(`no name server says whether ${name} is there: ${unasked}`);
    if (broker.state === 'there')
      return refused(`${name} is there (${broker.address}): stop it first`);
    const text = forgottenText({ name, atMs: systemClock.nowMs() });
    const key = keys.registry(`r:${forgottenRecordKind}`);
    await redis.command('HSETNX', key, `${broker.number}`, text);
    return { kind: 'forgotten', broker, storedSessions };
  });
}

async function withRedis<T>(
  settings: Settings,
  work: (redis: RedisConnection, keys: RedisKeys) => Promise<T>,
): Promise<T> {
  if (settings.redisUrl === null || settings.namesrvAddr === null)
    throw new SettingsError('brokers: NAMESRV_ADDR and REDIS_URL must be given');
  const keys = new RedisKeys(settings.clusterId);
  const redis = await openRedis({
    url: settings.redisUrl,
    tlsCa: settings.redisTlsCa,
    tlsCert: settings.redisTlsCert,
    tlsKey: settings.redisTlsKey,
    commandTimeoutMs: answerMs,
    openTimeoutMs: answerMs,
  });
  try {
    return await work(redis, keys);
  } finally {
    redis.close();
  }
}

async function listed(
  settings: Settings,
  redis: RedisConnection,
  keys: RedisKeys,
): Promise<BrokerList> {
  const records = async (kind: string): Promise<Map<string, string>> => {
    const texts = listOf(await redis.command('HGETALL', keys.registry(`r:${kind}`))).map(textOf);
    const pairs = new Map<string, string>();
    for (let at = 0; at < texts.length; at += 2) pairs.set(texts[at]!, texts[at + 1]!);
    return pairs;
  };
  const [numbers, forgottenTexts, placements, sessions, there] = await Promise.all([
    records(brokerRecordKind),
    records(forgottenRecordKind),
    records(placementRecordKind),
    redis.command('HLEN', new SessionKeys(keys).storedSessions),
    addressesOf(settings),
  ]);
  const forgotten = forgottenIn(forgottenTexts);
  const topics = topicsByBroker(placements);
  const brokers = [...numbers].map(([key, text]): BrokerLine => {
    const { name } = brokerOfKey(key);
    const number = Number(text);
    const forgottenAtMs = forgotten.get(number)?.atMs;
    const address = forgottenAtMs === undefined ? there.addresses.get(name) : undefined;
    const known =
      there.failure === undefined ? (address === undefined ? 'away' : 'there') : 'unknown';
    const state = forgottenAtMs === undefined ? known : 'forgotten';
    const placed = forgottenAtMs === undefined ? (topics.get(name) ?? []) : [];
    return { name, number, state, address, topics: placed, forgottenAtMs };
  });
  brokers.sort((a, b) => a.number - b.number);
  return { brokers, storedSessions: Number(sessions), unasked: there.failure };
}

async function addressesOf(
  settings: Settings,
): Promise<{ addresses: ReadonlyMap<string, string>; failure: string | undefined }> {
  const client = new RocketmqClient({
    ...clientSettings(settings),
    clock: systemClock,
    events: new RecordedRemotingEvents(silentLogs(), new Metrics(), systemClock),
    requestTimeoutMs: answerMs,
  });
  try {
    const addresses = new Map<string, string>();
    for (const { name, master } of (await client.clusterInfo()).brokers)
      if (master !== undefined) addresses.set(name, master);
    return { addresses, failure: undefined };
  } catch (error) {
    return {
      addresses: new Map(),
      failure: error instanceof Error ? error.message : String(error),
    };
  } finally {
    client.close();
  }
}

/** By the latest placement of each. */
function topicsByBroker(placements: ReadonlyMap<string, string>): Map<string, string[]> {
  const latest = new Map<string, { number: number; brokers: readonly string[] }>();
  for (const [key, text] of placements) {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || typeof value['topic'] !== 'string' || !isRecord(value['queues']))
      continue;
    const number = Number(key);
    const known = latest.get(value['topic']);
    if (known !== undefined && known.number > number) continue;
    latest.set(value['topic'], { number, brokers: Object.keys(value['queues']) });
  }
  const topics = new Map<string, string[]>();
  for (const [topic, { brokers }] of latest)
    for (const broker of brokers) topics.set(broker, [...(topics.get(broker) ?? []), topic]);
  return topics;
}
