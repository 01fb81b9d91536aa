// Messages that several ds may try to send: what another has perhaps sent is looked for first, and
// what is behind it in its lane waits for that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import type { Append } from '../src/queue-store/queue-store.ts';
import { ScriptedStore, topic as rocketTopic } from './scripted-store.ts';

const oneLane = 'lane-1';

/** `again`: another ds has taken it before. */
function once(scripted: ScriptedStore, text: string, again: boolean): Append {
  const key = `${'0'.repeat(20)}-${text}`;
  return { ...scripted.make(oneLane, text, 1), once: { key, sinceMs: Date.now(), again } };
}

/** As whoever takes them hands them over: one by one, all at once. */
function appendEach(scripted: ScriptedStore, appends: readonly Append[]): Promise<Append[][]> {
  return Promise.all(appends.map((append) => scripted.append([append])));
}

function texts(scripted: ScriptedStore): string[] {
  const stored = scripted.broker.storedIn(rocketTopic);
  return stored.filter(({ properties }) => properties.has('UNIQ_KEY')).map(({ text }) => text);
}

const own = (all: readonly string[]): string[] => all.filter((text) => /^[abc]$/.test(text));

void test('what the ds before had under way goes before what it had not', async (t) => {
  const scripted = await ScriptedStore.open(t);
  await scripted.append([scripted.make(oneLane, 'warm', 1)]);
  const appends = [
    once(scripted, 'a', true),
    once(scripted, 'b', true),
    once(scripted, 'c', false),
  ];
  await appendEach(scripted, appends);
  assert.deepEqual(
    appends.map(({ reasonCode }) => reasonCode),
    [0, 0, 0],
  );
  assert.deepEqual(own(texts(scripted)), ['a', 'b', 'c']);
});

void test('what the ds before has stored is not stored again, and the rest goes behind it', async (t) => {
  const before = await ScriptedStore.open(t);
  await before.append([before.make(oneLane, 'warm', 1)]);
  await appendEach(before, [once(before, 'a', false)]);
  const scripted = await ScriptedStore.open(t, {}, before);
  await appendEach(scripted, [
    once(scripted, 'a', true),
    once(scripted, 'b', true),
    once(scripted, 'c', false),
  ]);
  assert.deepEqual(own(texts(scripted)), ['a', 'b', 'c']);
});

void test('where it cannot be looked for, nothing of its lane passes it', async (t) => {
  const scripted = await ScriptedStore.open(t);
  await scripted.append([scripted.make(oneLane, 'warm', 1)]);
  const { broker } = scripted;
  const appends = [once(scripted, 'a', true), once(scripted, 'b', false)];
  broker.searches = false;
  await appendEach(scripted, appends);
  assert.ok(appends.every(({ reasonCode, final }) => reasonCode >= 0x80 && final !== true));
  assert.deepEqual(own(texts(scripted)), []);
  broker.searches = true;
  await appendEach(scripted, appends);
  assert.deepEqual(own(texts(scripted)), ['a', 'b']);
});

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
