// What a RocketMQ must be for MQTT: asked of every broker, and tried. A broker with wrong settings
// takes messages with code 0 and never puts them into a light queue, so settings are read and a
// message is stored and read back.
import { propertyText, type SendAnswer } from './remoting/requests/send-message.ts';
import type { BrokerConnection } from './remoting/broker-connection.ts';
import type { RocketmqClient } from './remoting/client.ts';
import { rocket } from './message/property-names.ts';

export interface RocketmqFinding {
  readonly name: string;
  /** `warn`: it works, but not as well as it should. */
  readonly state: 'ok' | 'warn' | 'wrong';
  readonly found: string;
  readonly wanted: string;
  /** What to change; '' where it is ok. */
  readonly fix: string;
}

export interface RocketmqChecksOptions {
  readonly clusterId: string;
  /** An ordinary topic that is there; the broker makes it where it may. */
  readonly topic: string;
  /** How long a probe may take to be indexed. */
  readonly probeMs?: number;
}

const probeMs = 10_000;
const lookAgainMs = 20;
const sendWaitMs = 1000;
const probeGroup = '%LMQ%lmqtt';

/** Rejects where no name server answers. */
export async function checkRocketmq(
  client: RocketmqClient,
  options: RocketmqChecksOptions,
): Promise<RocketmqFinding[]> {
  const { brokers } = await client.clusterInfo();
  const masters = brokers.filter(({ master }) => master !== undefined);
  const findings: RocketmqFinding[] = [
    finding('brokers', masters.length > 0 ? 'ok' : 'wrong', {
      found: masters.map(({ name }) => name).join(', ') || 'none',
      wanted: 'one or more',
      fix: 'start a broker with these name servers (namesrvAddr)',
    }),
  ];
  for (const { name, master } of masters) {
    const broker = client.broker(master!);
    try {
      findings.push(...(await checkBroker(name, broker, options)));
    } catch (error) {
      findings.push(
        finding(`${name} answers`, 'wrong', {
          found: error instanceof Error ? error.message : String(error),
          wanted: 'answers',
          fix: `make ${master} reachable from here (brokerIP1, firewall, access key)`,
        }),
      );
    }
  }
  return findings;
}

/** One line that says what to change; undefined: nothing has to be. */
export function refusalOfRocketmq(findings: readonly RocketmqFinding[]): string | undefined {
  const wrong = findings.filter(({ state }) => state === 'wrong');
  if (wrong.length === 0) return undefined;
  return wrong.map(({ name, found, fix }) => `RocketMQ ${name} is ${found}: ${fix}`).join('; ');
}

async function checkBroker(
  name: string,
  broker: BrokerConnection,
  options: RocketmqChecksOptions,
): Promise<RocketmqFinding[]> {
  const config = await broker.brokerConfig();
  const lmq = `%LMQ%##${options.clusterId}#probe`;
  // Before the version is asked: releases before 5.5 do not say it until they have stored something.
  const probed = await probe(name, broker, lmq, options);
  return [
    ...['enableLmq', 'enableMultiDispatch'].map((key) =>
      finding(`${name} ${key}`, config.get(key) === 'true' ? 'ok' : 'wrong', {
        found: config.get(key) ?? 'not there',
        wanted: 'true',
        fix: `set ${key}=true in its configuration and restart it`,
      }),
    ),
    threadsOf(name, config, await versionOf(broker)),
    waitOf(name, config),
    storeOf(name, config),
    probed,
  ];
}

/** 5.0 to 5.1.4 lose messages of light queues when several threads store them (issue 7511). */
function threadsOf(
  name: string,
  config: ReadonlyMap<string, string>,
  version: string,
): RocketmqFinding {
  const threads = config.get('sendMessageThreadPoolNums') ?? '';
  const mustBeOne = /^(V)?5[._][01]([._]|$)/i.test(version);
  const found = `${threads}${version === '' ? '' : `, version ${version}`}`;
  return finding(
    `${name} sendMessageThreadPoolNums`,
    mustBeOne && threads !== '1' ? 'wrong' : 'ok',
    {
      found,
      wanted: mustBeOne ? '1' : '1, or as it is',
      fix: 'set sendMessageThreadPoolNums=1, or use RocketMQ 5.2 or later: this version loses messages of light queues otherwise',
    },
  );
}

function waitOf(name: string, config: ReadonlyMap<string, string>): RocketmqFinding {
  const key = 'waitTimeMillsInSendQueue';
  const waitMs = Number(config.get(key) ?? 0);
  return finding(`${name} ${key}`, waitMs >= sendWaitMs ? 'ok' : 'warn', {
    found: config.get(key) ?? 'not there',
    wanted: '5000',
    fix: `set ${key}=5000: a busy broker refuses messages after ${waitMs} ms otherwise`,
  });
}

function storeOf(name: string, config: ReadonlyMap<string, string>): RocketmqFinding {
  const found = `${config.get('storeType') ?? 'default'}, ${config.get('flushDiskType') ?? ''}`;
  return finding(`${name} store`, 'ok', { found, wanted: 'any', fix: '' });
}

/** '' where it does not say. */
async function versionOf(broker: BrokerConnection): Promise<string> {
  try {
    const table = await broker.runtimeInfo();
    return (table.get('brokerVersionDesc') ?? '').replace(/^V/, '').replaceAll('_', '.');
  } catch {
    return '';
  }
}

async function probe(
  name: string,
  broker: BrokerConnection,
  lmq: string,
  options: RocketmqChecksOptions,
): Promise<RocketmqFinding> {
  const place = { topic: lmq, queueId: 0 };
  const before = await broker.maxOffset(place);
  const answer = await sendProbe(broker, lmq, options.topic);
  const said = { name: `${name} light queues`, wanted: 'a message in a light queue is read back' };
  if (answer.kind !== 'stored') {
    const why = answer.kind === 'refused' ? `${answer.code} ${answer.remark}` : answer.reason;
    const found = `a message was not stored: ${why}`;
    return { ...said, state: 'wrong', found, fix: `let ${name} store to topic ${options.topic}` };
  }
  const endMs = performance.now() + (options.probeMs ?? probeMs);
  while (performance.now() < endMs) {
    if ((await broker.maxOffset(place)) > before && (await canBeRead(broker, lmq, before)))
      return { ...said, state: 'ok', found: 'it is', fix: '' };
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
  const fix =
    'set enableLmq=true and enableMultiDispatch=true; look for a full disk and for open files (ulimit -n)';
  return { ...said, state: 'wrong', found: 'stored, and not in its light queue', fix };
}

function sendProbe(broker: BrokerConnection, lmq: string, topic: string): Promise<SendAnswer> {
  const properties = propertyText([
    [rocket.tags, 'LMQTT_PROBE'],
    [rocket.lmqNames, lmq],
  ]);
  const body = Buffer.from('probe');
  return new Promise((resolve) => {
    broker.send({ topic, queueId: 0, properties, body, bornMs: Date.now() }, resolve);
  });
}

function canBeRead(broker: BrokerConnection, lmq: string, offset: number): Promise<boolean> {
  const request = { group: probeGroup, topic: lmq, queueId: 0, offset, messagesMax: 1 };
  return new Promise((resolve) => {
    broker.pull({ ...request, suspendMs: 0, subscription: '*' }, ({ kind }) => {
      resolve(kind === 'found');
    });
  });
}

function finding(
  name: string,
  state: RocketmqFinding['state'],
  rest: { readonly found: string; readonly wanted: string; readonly fix: string },
): RocketmqFinding {
  return { name, state, ...rest, fix: state === 'ok' ? '' : rest.fix };
}
