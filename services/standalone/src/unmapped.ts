// `lmqtt unmapped`: messages of back ends that reach no device, or not all, and why.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';
import { listLeftAlone, type UnmappedLine } from '@lmqtt/ds/cluster/left-alone';

import { textTable } from './doctor/finding-table.ts';

export const unmappedUsage = `lmqtt unmapped [settings]

Messages in RocketMQ topics of a cluster that reach no device, or not all: for each reason and RocketMQ
topic how many the ds nodes have left alone, and the last one of them with its place at its broker, so
that \`mqadmin queryMsgByOffset\` shows it. Nodes tell it within 5 s. docs/rocketmq.md has the reasons.

Settings are those of ds: REDIS_URL, CLUSTER_ID and so on. Exit code 1: Redis does not answer.
`;

/** The exit code. Throws SettingsError. */
export async function runUnmapped(sources: Sources): Promise<number> {
  const settings = readSettings(sources, 'ds');
  try {
    const lines = await listLeftAlone(settings);
    const head = ['reason', 'RocketMQ topic', 'messages', 'last', 'MQTT topic', 'place', 'key'];
    const text = lines.length === 0 ? 'none' : textTable([head, ...lines.map(cellsOf)]);
    process.stdout.write(`${visible(text)}\n`);
    return 0;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`lmqtt: ${visible(text)}\n`);
    return 1;
  }
}

function cellsOf({ reason, rocketTopic, count, last }: UnmappedLine): string[] {
  const cells = [reason, rocketTopic, `${count}`];
  if (last === undefined) return cells;
  const { broker, queueId, queueOffset, key, mqttTopic, storedMs } = last;
  const place = `${broker} queue ${queueId} offset ${queueOffset}`;
  return [...cells, new Date(storedMs).toISOString(), mqttTopic, place, key];
}
