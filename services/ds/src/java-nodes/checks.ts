// Rows of `doctor` about the KV configuration of an installation of the Java nodes.
import type { Finding } from '@lmqtt/common/finding';
import type { RocketmqClient } from '../rocketmq/remoting/client.ts';
import { javaConfigOf, javaNamespace, seedsIn } from './kv-config.ts';

interface JavaCheckSettings {
  readonly javaNodes: 'auto' | 'on' | 'off';
  readonly eventNotifyRetryTopic: string | null;
  readonly clientRetryTopic: string | null;
}

const checkedMax = 100;

/** No rows where nothing is configured. */
export async function checkJavaConfig(
  client: Pick<RocketmqClient, 'listKv' | 'route'>,
  settings: JavaCheckSettings,
): Promise<Finding[]> {
  if (settings.javaNodes === 'off') return [];
  const { eventNotifyRetryTopic, clientRetryTopic } = settings;
  const retryTopics = [eventNotifyRetryTopic, clientRetryTopic].filter((topic) => topic !== null);
  let config;
  try {
    config = javaConfigOf(seedsIn(await client.listKv(javaNamespace)), new Set(retryTopics));
  } catch {
    // Name servers that do not answer have rows of their own.
    return [];
  }
  const findings: Finding[] = config.retryTopics.map(retryFinding);
  for (const topic of [...config.firstTopics, ...retryTopics].slice(0, checkedMax)) {
    const route = await client.route(topic).catch(() => null);
    if (route === undefined) findings.push(missingFinding(topic));
  }
  if (config.nodes.length > 0 || settings.javaNodes === 'on') findings.push(nodesFinding(config));
  return findings;
}

function nodesFinding({
  nodes,
  firstTopics,
}: {
  readonly nodes: readonly string[];
  readonly firstTopics: readonly string[];
}): Finding {
  return {
    name: 'Java nodes',
    state: 'ok',
    found: `${nodes.join(', ') || 'none'}; first levels ${firstTopics.join(', ') || 'none'}`,
    wanted: 'any; JAVA_NODES=off once they are gone',
    fix: '',
  };
}

function missingFinding(topic: string): Finding {
  return {
    name: `first topic ${topic}`,
    state: 'warn',
    found: 'RocketMQ has no such topic',
    wanted: 'there',
    fix: `mqadmin updatetopic -c CLUSTER -t ${topic} -n NAMESRV`,
  };
}

function retryFinding(topic: string): Finding {
  return {
    name: `first topic ${topic}`,
    state: 'warn',
    found: 'a retry topic in ALL_FIRST_TOPICS',
    wanted: 'not there: it is ignored, and Java nodes send events for ever',
    fix: 'mqadmin updateKvConfig -s LMQ -k ALL_FIRST_TOPICS -v {the others} -n NAMESRV',
  };
}
