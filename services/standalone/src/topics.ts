// `lmqtt topics`: where in RocketMQ the messages of MQTT topics are, and their move.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';
import {
  isFirstLevel,
  listTopicHomes,
  moveTopicHome,
  NotMoved,
  type TopicHome,
} from '@lmqtt/ds/cluster/topic-homes';

import { textTable } from './doctor/finding-table.ts';

export const topicsUsage = `lmqtt topics [settings]
lmqtt topics move LEVEL [TOPIC] [settings]

Without more words: the first levels of MQTT topics that were published to, and the RocketMQ topic of
each. A level stays in the topic that it had at its first publish, until it is moved.

move: from some seconds after the command on, messages under LEVEL are stored in the RocketMQ topic
TOPIC (LEVEL itself, where none is named), which must be on the same brokers with as many queues.
Devices notice nothing: no message is lost or comes twice, and their order is kept. What was stored
before stays where it is, so a back end reads the old topic to its end and the new one from the
beginning. Exit code 0: it is done; 1: it cannot be moved, and why.

Settings are those of ds: NAMESRV_ADDR, REDIS_URL, CLUSTER_ID and so on.
`;

/** The exit code. Throws SettingsError. */
export async function runTopics(sources: Sources): Promise<number> {
  const [first, ...rest] = sources.args;
  const isMove = first === 'move';
  const flagAt = rest.findIndex((arg) => arg.startsWith('-'));
  const words = isMove ? rest.slice(0, flagAt === -1 ? rest.length : flagAt) : [];
  const args = isMove ? rest.slice(words.length) : sources.args;
  const settings = readSettings({ ...sources, args }, 'ds');
  try {
    if (!isMove) {
      const { homes, rules } = await listTopicHomes(settings);
      write(textTable([['first level', 'RocketMQ topic', 'since', ''], ...homes.map(lineOf)]));
      for (const { filter, topic } of rules) write(`TOPIC_RULES: ${filter} = ${topic}`);
      return 0;
    }
    const [level, topic = level] = words;
    if (level === undefined || topic === undefined || words.length > 2 || !isFirstLevel(level))
      throw new SettingsError(
        'lmqtt topics move LEVEL [TOPIC]: LEVEL is the text before the first /',
      );
    await moveTopicHome(settings, level, topic, write);
    return 0;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `lmqtt: ${visible(error instanceof NotMoved ? text : `failed: ${text}`)}\n`,
    );
    return 1;
  }
}

function write(text: string): void {
  process.stdout.write(`${visible(text)}\n`);
}

function lineOf({ firstLevel, topic, movedMs, next, hasNamesake }: TopicHome): string[] {
  const since = movedMs === undefined ? 'first publish' : new Date(movedMs).toISOString();
  return [firstLevel, topic, since, noteOf(firstLevel, next, hasNamesake && movedMs === undefined)];
}

function noteOf(level: string, next: TopicHome['next'], isWarned: boolean): string {
  if (next !== undefined) return `moves to ${next.topic} at ${new Date(next.fromMs).toISOString()}`;
  return isWarned ? `RocketMQ has a topic ${level}: lmqtt topics move ${level}` : '';
}
