// Which RocketMQ topic holds what is published under a first level, as the registry has it, and its
// move to another one. All of it happens beside the ds nodes, which follow the registry: a move is
// in force some seconds after it was recorded, at one time for all of them. It keeps everything at
// its broker and queue, so that light queues, which no RocketMQ topic owns, go on in their order:
// positions of sessions, messages in flight and the order keys of retained messages stay right.
import { pause } from '@lmqtt/common/pause';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { Brokers } from '../queue-store/rocketmq/brokers.ts';
import { RocketmqStoreEvents } from '../queue-store/rocketmq/events.ts';
import { defaultStoreSettings } from '../queue-store/rocketmq/options.ts';
import { effectAfterMs, type Move, type Placements } from '../queue-store/rocketmq/placements.ts';
import { homeRecordKind } from '../queue-store/rocketmq/targets.ts';
import { UsedTopics } from '../queue-store/rocketmq/used-topics.ts';
import { openRedis, type RedisConnection } from '../redis/connection.ts';
import { RedisKeys } from '../redis/keys.ts';
import { Membership } from '../registry/redis/membership.ts';
import { RedisRecords } from '../registry/redis/records.ts';
import { RegistryEvents } from '../registry/redis/registry-events.ts';
import { clientSettings } from '../rocketmq/client-settings.ts';
import { isTopicForMessages } from '../rocketmq/mapping/rocketmq-topic.ts';
import { firstLevel, rulesOf } from '../rocketmq/mapping/topic-mapping.ts';
import { clusterDefaultTopic } from '../rocketmq/names/cluster-names.ts';
import { RocketmqClient } from '../rocketmq/remoting/client.ts';
import { RecordedRemotingEvents } from '../rocketmq/remoting/recorded-events.ts';
import type { TopicRoute } from '../rocketmq/remoting/requests/route.ts';

const answerMs = 5000;
/**
 * Allowance for a ds whose clock is behind that of Redis, and for the time that recording takes.
 */
const marginMs = 1500;
const routesAtOnce = 16;

/** Brokers and queues that have the messages of one first level. */
export interface TopicHome {
  readonly firstLevel: string;
  readonly topic: string;
  /** Wall clock; undefined: since the first publish. */
  readonly movedMs: number | undefined;
  /** A move that is not in force yet. */
  readonly next: { readonly topic: string; readonly fromMs: number } | undefined;
  /** RocketMQ has a topic of its name, where a back end may look for the messages in vain. */
  readonly hasNamesake: boolean;
}

interface TopicHomes {
  readonly homes: readonly TopicHome[];
  /** TOPIC_RULES, which count more. */
  readonly rules: readonly { readonly filter: string; readonly topic: string }[];
}

/** Error for a first level that cannot be moved, with the reason. */
export class NotMoved extends Error {}

interface Servers {
  readonly settings: Settings;
  readonly redis: RedisConnection;
  readonly records: RedisRecords;
  readonly client: RocketmqClient;
  readonly brokers: Brokers;
  readonly topics: UsedTopics;
}

/** Rejects where Redis or RocketMQ do not answer. Throws SettingsError. */
export function listTopicHomes(settings: Settings): Promise<TopicHomes> {
  return withServers(settings, async (servers) => {
    const homes = await readHomes(servers);
    return { homes, rules: rulesOf(settings.topicRules) };
  });
}

/** In force when it resolves. `to`: the RocketMQ topic. Rejects with NotMoved. */
export function moveTopicHome(
  settings: Settings,
  level: string,
  to: string,
  said: (text: string) => void,
): Promise<void> {
  return withServers(settings, async (servers) => {
    const { redis, topics } = servers;
    const { placements } = topics;
    await placements.read();
    if (!isTopicForMessages(to)) throw new NotMoved(`${to} cannot be a RocketMQ topic of messages`);
    await refuseByRule(servers, level);
    const nowMs = await redisTimeMs(redis);
    const current = await currentHome(servers, level, nowMs);
    if (current.topic === to) {
      said(`${level} is in ${to} already`);
      return;
    }
    const queues = await queuesOf(servers, current, to, nowMs);
    await topics.use(to, false);
    const fromMs = (await redisTimeMs(redis)) + effectAfterMs + marginMs;
    await placements.recordMove({ firstLevel: level, topic: to, queues, fromMs });
    said(
      `${level} moves from ${current.topic} to ${to} in ${Math.ceil((fromMs - nowMs) / 1000)} s`,
    );
    await pause(fromMs - (await redisTimeMs(redis)) + marginMs);
    said(`${level} is in ${to}; what was stored before stays in ${current.topic}`);
  });
}

async function readHomes({ redis, records, topics, client }: Servers): Promise<TopicHome[]> {
  const { placements } = topics;
  await placements.read();
  const nowMs = await redisTimeMs(redis);
  const recorded = await records.all(homeRecordKind);
  const homes: TopicHome[] = [];
  const levels = [...recorded.keys()].sort();
  for (let at = 0; at < levels.length; at += routesAtOnce) {
    const some = levels.slice(at, at + routesAtOnce);
    homes.push(
      ...(await Promise.all(
        some.map(async (level) => {
          const { topic, move, next } = homeOf(placements, level, recorded.get(level)!, nowMs);
          const isElsewhere = topic !== level && isTopicForMessages(level);
          const route = isElsewhere ? await client.route(level) : undefined;
          const hasNamesake = route?.brokers.some(({ writable }) => writable) === true;
          return { firstLevel: level, topic, movedMs: move?.fromMs, next, hasNamesake };
        }),
      )),
    );
  }
  return homes;
}

interface Home {
  readonly topic: string;
  readonly move: Move | undefined;
  readonly next: Move | undefined;
}

function homeOf(placements: Placements, level: string, first: string, nowMs: number): Home {
  const moves = placements.movesOf(level);
  const move = moves.findLast(({ fromMs }) => fromMs <= nowMs);
  return { topic: move?.topic ?? first, move, next: moves.find(({ fromMs }) => fromMs > nowMs) };
}

async function currentHome(servers: Servers, level: string, nowMs: number): Promise<Home> {
  const { records, topics } = servers;
  const first = (await records.all(homeRecordKind)).get(level);
  if (first === undefined) {
    const hint = 'nothing was published under it: its first message goes to the topic of its name';
    throw new NotMoved(`${level} is in no RocketMQ topic yet (${hint}, where there is one)`);
  }
  const home = homeOf(topics.placements, level, first, nowMs);
  if (home.next === undefined) return home;
  const leftS = Math.ceil((home.next.fromMs - nowMs) / 1000);
  throw new NotMoved(`${level} is on its way to ${home.next.topic}: wait for ${leftS} s`);
}

/** How many queues of each broker hold its messages. Throws where `to` has fewer. */
async function queuesOf(
  { client, topics }: Servers,
  { topic, move }: Home,
  to: string,
  nowMs: number,
): Promise<Record<string, number>> {
  const placements = topics.placements.of(topic);
  const latest = placements.at(-1);
  if (latest === undefined || latest.fromMs > nowMs)
    throw new NotMoved(`brokers of ${topic} have just changed: try again in some seconds`);
  const queues: Record<string, number> = {};
  for (const [broker, count] of Object.entries(latest.queues))
    queues[broker] = Math.min(count, move?.queues[broker] ?? Infinity);
  const route = await client.route(to);
  const lacking = Object.entries(queues).flatMap(([broker, count]) => lack(route, broker, count));
  if (lacking.length === 0) return queues;
  const most = Math.max(...Object.values(queues));
  throw new NotMoved(
    `RocketMQ topic ${to} must be where ${topic} is, so that the order of messages is kept: ` +
      `${lacking.join(', ')}. mqadmin updateTopic -t ${to} -r ${most} -w ${most} -c CLUSTER makes it so`,
  );
}

function lack(route: TopicRoute | undefined, name: string, count: number): string[] {
  const found = route?.brokers.find((broker) => broker.name === name);
  if (found === undefined) return [`${name} has not got it`];
  if (!found.writable || !found.readable) return [`${name} does not let it be read and written`];
  const queues = Math.min(found.readQueues, found.writeQueues);
  return queues < count ? [`${name} has ${queues} queues of it instead of ${count}`] : [];
}

/** Rules of settings decide first, and do not move. */
function refuseByRule({ settings }: Servers, level: string): Promise<void> {
  const whole = ['#', '+/#', `${level}/#`];
  const rule = rulesOf(settings.topicRules).find(({ filter }) => whole.includes(filter));
  if (rule === undefined) return Promise.resolve();
  throw new NotMoved(`TOPIC_RULES says where ${level} is: ${rule.filter} = ${rule.topic}`);
}

async function redisTimeMs(redis: RedisConnection): Promise<number> {
  await redis.measureTime();
  return redis.timeMs();
}

async function withServers<R>(
  settings: Settings,
  work: (servers: Servers) => Promise<R>,
): Promise<R> {
  const { redisUrl, namesrvAddr, clusterId } = settings;
  if (redisUrl === null || namesrvAddr === null)
    throw new SettingsError('topics are those of a cluster: set NAMESRV_ADDR and REDIS_URL');
  const logs = silentLogs();
  const metrics = new Metrics();
  const clock = systemClock;
  const redis = await openRedis({
    ...{ url: redisUrl, tlsCa: settings.redisTlsCa, tlsCert: settings.redisTlsCert },
    ...{ tlsKey: settings.redisTlsKey, commandTimeoutMs: answerMs, openTimeoutMs: answerMs },
  });
  const client = new RocketmqClient({
    ...{ ...clientSettings(settings), clock, requestTimeoutMs: answerMs },
    events: new RecordedRemotingEvents(logs, metrics, clock),
  });
  const base = new RedisKeys(clusterId).registry('');
  const member = new Membership(
    redis,
    base,
    clock,
    settings.leaseMs,
    new RegistryEvents(logs, metrics),
  );
  const records = new RedisRecords(member);
  const options = {
    ...{ client, records, clock },
    events: new RocketmqStoreEvents(logs, metrics, clock),
    settings: {
      ...defaultStoreSettings,
      defaultTopic: settings.defaultTopic ?? clusterDefaultTopic(clusterId),
    },
  };
  const brokers = new Brokers(options);
  try {
    await client.clusterInfo();
    await brokers.refresh();
    await brokers.connected();
    const topics = new UsedTopics(options, brokers);
    return await work({ settings, redis, records, client, brokers, topics });
  } finally {
    brokers.close();
    client.close();
    redis.close();
  }
}

/** Moves are named by their first level alone. */
export function isFirstLevel(text: string): boolean {
  return text !== '' && firstLevel(text) === text && !/[+#]/.test(text);
}
