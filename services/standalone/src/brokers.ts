// `lmqtt brokers` and `lmqtt brokers forget NAME`.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';
import { type BrokerLine, forgetBroker, listBrokers } from '@lmqtt/ds/cluster/broker-list';

export const brokersUsage = `lmqtt brokers [settings]              list the brokers of RocketMQ that this cluster knows
lmqtt brokers forget NAME [settings]  forget a broker that has left for good

A broker that is forgotten is not waited for any more. What is stored only there is lost to devices;
a broker of that name that comes back later is a new one. NAMESRV_ADDR, REDIS_URL and CLUSTER_ID are
those of the ds nodes. Exit codes: 0 done, 1 refused or not reached, 2 wrong settings.
`;

/** The exit code. Throws SettingsError. */
export async function runBrokers({ args, environment }: Sources): Promise<number> {
  const [command, name, ...rest] = args;
  const isForget = command === 'forget';
  if (!isForget && command !== undefined && !command.startsWith('-'))
    throw new SettingsError(`brokers ${command}: there is no such command (see brokers --help)`);
  if (isForget && (name === undefined || name.startsWith('-')))
    throw new SettingsError('brokers forget: name the broker (see brokers --help)');
  const settings = readSettings({ args: isForget ? rest : args, environment }, 'ds');
  try {
    if (isForget) return await forget(settings, name!);
    const { brokers, unasked } = await listBrokers(settings);
    const note = unasked === undefined ? '' : `note: ${unasked}\n\n`;
    process.stdout.write(visible(`${note}${tableOf(brokers)}`));
    return 0;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    process.stderr.write(
      visible(`lmqtt: ${error instanceof Error ? error.message : String(error)}\n`),
    );
    return 1;
  }
}

async function forget(settings: Parameters<typeof forgetBroker>[0], name: string): Promise<number> {
  const answer = await forgetBroker(settings, name);
  if (answer.kind === 'refused') {
    process.stderr.write(visible(`lmqtt: ${answer.reason}\n`));
    return 1;
  }
  const { broker, storedSessions } = answer;
  const { number, topics } = broker;
  const placed =
    topics.length === 0 ? 'no topic has a place there now' : `topics: ${topics.join(', ')}`;
  process.stdout.write(
    visible(`${name} (number ${number}) is forgotten; ${placed}.

Lost to devices with it:
- messages that are stored only there and were not delivered yet, of ${storedSessions} stored sessions and
  of every shared group;
- QoS 2 messages of which only ${name} knows whether it stored them: they count as not stored, so that a
  publisher that sends one again may have it stored twice.
Kept: sessions, subscriptions, retained messages, and what other brokers have stored.

Every ds takes note within 10 s. A broker named ${name} that comes back is a new one: what it stored
until now is not delivered to devices; consumers of RocketMQ still read it.
`),
  );
  return 0;
}

function tableOf(brokers: readonly BrokerLine[]): string {
  if (brokers.length === 0) return 'This cluster has met no broker yet.\n';
  const rows = [
    ['broker', 'number', 'state', 'address', 'topics'],
    ...brokers.map(({ name, number, state, address, topics, forgottenAtMs }) => [
      name,
      `${number}`,
      forgottenAtMs === undefined ? state : `forgotten ${new Date(forgottenAtMs).toISOString()}`,
      address ?? '-',
      topics.join(', ') || '-',
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
