// Questions that `doctor` asks the servers that a cluster stands on. Each part goes on without the
// others.
import { systemClock } from '@lmqtt/common/clock';
import type { Finding } from '@lmqtt/common/finding';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { checkRedis } from '../redis/checks.ts';
import { openRedis, type RedisConnection } from '../redis/connection.ts';
import { RedisKeys } from '../redis/keys.ts';
import { checkJavaConfig } from '../java-nodes/checks.ts';
import { usedTopicRecords } from '../queue-store/rocketmq/used-topics.ts';
import { listNodes } from '../registry/redis/node-list.ts';
import { listOf, textOf as textOfReply } from '../registry/redis/registry-reply.ts';
import type { NodeLine } from '../registry/nodes.ts';
import { checkBrokers } from '../rocketmq/checks.ts';
import { clientSettings } from '../rocketmq/client-settings.ts';
import { clusterDefaultTopic, plainCluster } from '../rocketmq/names/cluster-names.ts';
import { RocketmqClient, type RocketmqClientOptions } from '../rocketmq/remoting/client.ts';
import { RecordedRemotingEvents } from '../rocketmq/remoting/recorded-events.ts';
import { listTopicHomes } from './topic-homes.ts';

const answerMs = 3000;
/** Ages of messages and times of placements are by the wall clock of each ds. */
const offsetMsMax = 1000;

/**
 * Redis, the clock and the nodes; `nodes`: those that are alive, `topics`: RocketMQ topics that the
 * cluster uses.
 */
export async function checkRegistry(
  settings: Settings,
): Promise<{ findings: Finding[]; nodes: NodeLine[]; topics: string[] }> {
  const keys = keysOf(settings);
  let redis: RedisConnection;
  const wanted = 'answers';
  try {
    redis = await openRedis({
      url: settings.redisUrl ?? '',
      tlsCa: settings.redisTlsCa,
      tlsCert: settings.redisTlsCert,
      tlsKey: settings.redisTlsKey,
      commandTimeoutMs: answerMs,
      openTimeoutMs: answerMs,
    });
  } catch (error) {
    const fix = 'start Redis, or set REDIS_URL (with user and password) to where it is';
    const finding = { name: 'redis', found: textOf(error), wanted, fix };
    return { findings: [{ ...finding, state: 'wrong' }], nodes: [], topics: [] };
  }
  const findings: Finding[] = [{ name: 'redis', state: 'ok', found: redis.where, wanted, fix: '' }];
  try {
    const strict = settings.redisDurability === 'strict';
    findings.push(...(await checkRedis(redis, { strict })), await clockFinding(redis));
    const all = await listNodes(redis, keys, settings.leaseMs);
    const nodes = all.filter(({ state }) => state !== 'gone');
    findings.push(...nodes.map(nodeFinding), versions(nodes));
    return { findings, nodes, topics: await topicsIn(redis, keys) };
  } catch (error) {
    const fix = 'permit this user all commands on keys that begin with lmqtt:';
    const finding = { name: 'redis commands', found: textOf(error), wanted: 'permitted', fix };
    return { findings: [...findings, { ...finding, state: 'wrong' }], nodes: [], topics: [] };
  } finally {
    redis.close();
  }
}

function keysOf({ clusterId }: Settings): RedisKeys {
  try {
    return new RedisKeys(clusterId);
  } catch (error) {
    throw new SettingsError(textOf(error), { cause: error });
  }
}

async function topicsIn(redis: RedisConnection, keys: RedisKeys): Promise<string[]> {
  const reply = await redis.command('HKEYS', keys.registry(`r:${usedTopicRecords}`));
  return listOf(reply).map(textOfReply);
}

/** `topics`: those that the cluster uses already. */
export async function checkRocketmq(
  settings: Settings,
  topics: readonly string[],
): Promise<Finding[]> {
  const options = {
    ...clientSettings(settings),
    clock: systemClock,
    events: new RecordedRemotingEvents(silentLogs(), new Metrics(), systemClock),
    requestTimeoutMs: answerMs,
  };
  const each = await Promise.all(
    options.nameServers.map((address) => checkNameServer(address, options)),
  );
  const names = new Set(each.flatMap(({ brokers }) => brokers));
  const findings = each.map(({ address, brokers, failure }) =>
    nameServerFinding(address, brokers, failure, names),
  );
  if (each.every(({ failure }) => failure !== undefined)) return findings;
  const client = new RocketmqClient(options);
  try {
    const { clusterId, defaultTopic } = settings;
    const topic = defaultTopic ?? clusterDefaultTopic(clusterId);
    const more = topics.filter((each) => each !== topic);
    const reports = await checkBrokers(client, { clusterId, topic, more });
    const java = clusterId === plainCluster ? await checkJavaConfig(client, settings) : [];
    return [...findings, ...reports.flatMap((report) => report.findings), ...java];
  } finally {
    client.close();
  }
}

/** First levels whose messages a back end may look for in the wrong RocketMQ topic. */
export async function checkTopics(settings: Settings): Promise<Finding[]> {
  const wanted = 'the RocketMQ topic of their name';
  try {
    const { homes } = await listTopicHomes(settings);
    return homes
      .filter(({ hasNamesake, movedMs, next }) => hasNamesake && movedMs === undefined && !next)
      .map(({ firstLevel, topic }) => ({
        ...{ name: `messages of ${firstLevel}`, state: 'warn', wanted },
        found: `in ${topic}, RocketMQ has a topic ${firstLevel}`,
        fix: `lmqtt topics move ${firstLevel}`,
      }));
  } catch {
    // Servers that do not answer have rows of their own.
    return [];
  }
}

interface NameServer {
  readonly address: string;
  readonly brokers: readonly string[];
  readonly failure: string | undefined;
}

async function checkNameServer(
  address: string,
  options: RocketmqClientOptions,
): Promise<NameServer> {
  const client = new RocketmqClient({ ...options, nameServers: [address] });
  try {
    const { brokers } = await client.clusterInfo();
    return { address, brokers: brokers.map(({ name }) => name), failure: undefined };
  } catch (error) {
    return {
      address,
      brokers: [],
      failure: textOf(error).replace(/^no name server answers: /, ''),
    };
  } finally {
    client.close();
  }
}

/** `all`: what any of them knows. */
function nameServerFinding(
  address: string,
  brokers: readonly string[],
  failure: string | undefined,
  all: ReadonlySet<string>,
): Finding {
  const name = `name server ${address}`;
  const wanted = 'answers, knows a broker';
  if (failure !== undefined) {
    const fix = 'start it, or set NAMESRV_ADDR to where it is';
    return { name, state: 'wrong', found: failure, wanted, fix };
  }
  const missing = [...all].filter((broker) => !brokers.includes(broker));
  const found = brokers.join(', ') || 'answers, knows no broker';
  if (brokers.length === 0 && missing.length === 0) {
    const fix = `start a broker with namesrvAddr=${address} in broker.conf`;
    return { name, state: 'wrong', found, wanted, fix };
  }
  if (missing.length === 0) return { name, state: 'ok', found, wanted, fix: '' };
  const fix = `name ${address} in namesrvAddr of ${missing.join(', ')} too`;
  return { name, state: 'warn', found, wanted: 'knows what the others know', fix };
}

async function clockFinding(redis: RedisConnection): Promise<Finding> {
  await redis.measureTime();
  const offsetMs = Math.round(systemClock.nowMs() - redis.timeMs());
  const ok = Math.abs(offsetMs) <= offsetMsMax;
  return {
    name: 'clock',
    state: ok ? 'ok' : 'warn',
    found: `${offsetMs} ms ${offsetMs < 0 ? 'behind' : 'ahead of'} Redis`.replace('-', ''),
    wanted: `within ${offsetMsMax} ms`,
    fix: ok ? '' : 'set the clocks of all machines by NTP: messages expire by them',
  };
}

function nodeFinding(line: NodeLine): Finding {
  const { role, id, version, address, state, leaseAgeMs, connections } = line;
  const more = role === 'cs' ? `${connections} connections` : '';
  const said = [state, version, address, `renewed ${leaseAgeMs} ms ago`, more];
  const found = said.filter((each) => each !== '').join(', ');
  return { name: `node ${id} (${role})`, state: 'ok', found, wanted: 'any', fix: '' };
}

function versions(nodes: readonly NodeLine[]): Finding {
  const found = [...new Set(nodes.map(({ version }) => version))]
    .filter((each) => each !== '')
    .sort();
  const several = found.length > 1;
  return {
    name: 'versions of nodes',
    state: several ? 'warn' : 'ok',
    found: found.join(', ') || 'no node is alive',
    wanted: 'one',
    fix: several ? 'finish the update: two versions are for its time only' : '',
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
