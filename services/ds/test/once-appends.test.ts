// Messages of the broker's own, each with a key by which it is looked for where it may be stored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import type { Append } from '../src/queue-store/queue-store.ts';
import { ScriptedStore, topic as rocketTopic } from './scripted-store.ts';

function onceTo(topic: string, lane: string, text: string): Append {
  const message = messageOf({ topic, qos: 1, retain: false, payload: Buffer.from(text) });
  const once = { key: `key-${text}`, sinceMs: Date.now(), again: false };
  return {
    ...{ message, queues: [], lane, inbound: undefined, once },
    ...{ reasonCode: -1, orderKey: undefined },
  };
}

void test('a lane keeps its order over queues of which one has to be asked for its end', async (t) => {
  const before = await ScriptedStore.open(t);
  const { broker } = before;
  const topics = Array.from({ length: 20 }, (_, n) => `t/${n}`);
  for (const topic of topics) await before.append([onceTo(topic, topic, topic)]);
  const queueOf = new Map(broker.storedIn(rocketTopic).map(({ text, queueId }) => [text, queueId]));
  const [unknown] = topics;
  const known = topics.find((topic) => queueOf.get(topic) !== queueOf.get(unknown!));
  // It has asked for no queue's end.
  const scripted = await ScriptedStore.open(t, {}, before);
  await scripted.append([onceTo(known!, 'other', '0')]);
  const stored = broker.storedIn(rocketTopic).length;
  const batch = [
    onceTo(unknown!, 'lane', '1'),
    onceTo(known!, 'lane', '2'),
    onceTo(unknown!, 'lane', '3'),
  ];
  await Promise.all(batch.map((append) => scripted.append([append])));
  assert.deepEqual(
    batch.map(({ reasonCode }) => reasonCode),
    [0, 0, 0],
  );
  const texts = broker.storedIn(rocketTopic).map(({ text }) => text);
  assert.deepEqual(texts.slice(stored), ['1', '2', '3']);
});
