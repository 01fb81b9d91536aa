// Checks whether a RocketMQ is fit for MQTT: every broker is asked, and tried. The topic of the
// messages is left to ds to make, since it remembers which ones it has made.
import type { Finding } from '@lmqtt/common/finding';
import { settingFindings } from './broker-settings.ts';
import { passingCodes, probeLightQueue } from './light-queue-probe.ts';
import { clusterDefaultTopic } from './names/cluster-names.ts';
import type { BrokerConnection } from './remoting/broker-connection.ts';
import type { RocketmqClient } from './remoting/client.ts';
import { RemotingError } from './remoting/errors.ts';
import type { TopicRoute } from './remoting/requests/route.ts';
import { isDenied, rightFindings } from './rights.ts';

export interface RocketmqChecksOptions {
  readonly clusterId: string;
  /** DEFAULT_TOPIC. */
  readonly topic: string;
  /** Further topics that carry MQTT, and that brokers have. */
  readonly more?: readonly string[];
  /** How long a message may take into its light queue. */
  readonly probeMs?: number;
}

export interface BrokerReport {
  readonly name: string;
  readonly findings: readonly Finding[];
  /** The fault may be over in a moment: the broker is away, starts, or is busy. */
  readonly mayPass: boolean;
}

const probeMsDefault = 10_000;

/** All brokers that the name servers know. Rejects where no name server answers. */
export async function checkBrokers(
  client: RocketmqClient,
  options: RocketmqChecksOptions,
): Promise<BrokerReport[]> {
  const { brokers } = await client.clusterInfo();
  const route = await client.route(options.topic);
  return Promise.all(
    brokers.map(async ({ name, master }) => {
      if (master === undefined) return awayReport(name, 'it has no master');
      try {
        return await checkBroker(name, client.broker(master), route, options);
      } catch (error) {
        return error instanceof RemotingError
          ? refusedReport(name, error)
          : awayReport(name, error instanceof Error ? error.message : String(error));
      }
    }),
  );
}

/** One line that says what to change; undefined: nothing has to be, or it may pass. */
export function refusalOfBrokers(reports: readonly BrokerReport[]): string | undefined {
  const wrong = reports
    .filter(({ mayPass }) => !mayPass)
    .flatMap(({ findings }) => findings.filter(({ state }) => state === 'wrong'));
  if (wrong.length === 0) return undefined;
  const list = wrong.map(({ name, found, fix }) => `${name} is ${found}: ${fix}`);
  return `RocketMQ is not fit for MQTT: ${list.join('; ')}`;
}

async function checkBroker(
  name: string,
  broker: BrokerConnection,
  route: TopicRoute | undefined,
  { clusterId, topic, more = [], probeMs = probeMsDefault }: RocketmqChecksOptions,
): Promise<BrokerReport> {
  const config = await configOf(broker);
  const release = await broker.release();
  const settings = config === undefined ? [] : settingFindings(name, config, release);
  const itsRoute = route?.brokers.find((each) => each.name === name && each.writable);
  const findings = [answers(name, broker), ...settings];
  if (settings.some(({ state }) => state === 'wrong')) return { name, findings, mayPass: false };
  const creates = itsRoute === undefined && Number(release?.[0]) >= 5 ? [topic] : [];
  const topics = itsRoute === undefined ? more : [topic, ...more];
  const rights = await rightFindings(name, broker, { clusterId, topics, creates });
  findings.push(...rights);
  if (rights.some(({ state }) => state === 'wrong')) return { name, findings, mayPass: false };
  const probeTopic = `${clusterDefaultTopic(clusterId)}-probe`;
  if (itsRoute === undefined)
    await broker.createTopic({ topic: probeTopic, readQueues: 1, writeQueues: 1 });
  const used = itsRoute === undefined ? probeTopic : topic;
  const result = await probeLightQueue(broker, clusterId, used, probeMs);
  findings.push({
    name: `${name} topic ${topic}`,
    state: 'ok',
    found: itsRoute === undefined ? 'not there yet' : `${itsRoute.writeQueues} queues`,
    wanted: 'there, or made by ds',
    fix: '',
  });
  findings.push({
    name: `${name} light queue`,
    state: result.ok ? 'ok' : 'wrong',
    found: result.ok ? 'stored and read back' : result.why,
    wanted: 'a message comes through it',
    fix: result.ok ? '' : probeFix(used),
  });
  return { name, findings, mayPass: !result.ok && result.mayPass };
}

/** Undefined: this user may not read it, which is a finding of its own. */
async function configOf(
  broker: BrokerConnection,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    return await broker.brokerConfig();
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}

function probeFix(topic: string): string {
  return `look for a full disk, for the limit of open files (ulimit -n) and for the right to write to ${topic}`;
}

function answers(name: string, { address }: BrokerConnection): Finding {
  return { name: `${name} master`, state: 'ok', found: address, wanted: 'answers', fix: '' };
}

function awayReport(name: string, found: string): BrokerReport {
  const fix = 'start it, and see to brokerIP1 and the firewall: ds connects to each master';
  const finding = { name: `${name} master`, found, wanted: 'answers', fix };
  return { name, findings: [{ ...finding, state: 'wrong' }], mayPass: true };
}

function refusedReport(name: string, { code, message }: RemotingError): BrokerReport {
  const mayPass = passingCodes.has(code);
  const fix = mayPass
    ? 'see to the load of the broker and to its disk'
    : 'give ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY of a user of this broker with the rules of docs/rocketmq-rights.md';
  const of = mayPass ? 'master' : 'access';
  const finding = { name: `${name} ${of}`, found: message, wanted: 'answers', fix };
  return { name, findings: [{ ...finding, state: 'wrong' }], mayPass };
}
