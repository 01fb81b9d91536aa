// Sends of which nothing certain came back: how it is found out which of them are stored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Append } from '../src/queue-store/queue-store.ts';
import type { SentMessage } from './scripted-broker.ts';
import { ScriptedStore, topic } from './scripted-store.ts';

const lanes = Array.from({ length: 16 }, (_, n) => `lane-${n}`);
const isMark = ({ properties }: SentMessage): boolean => properties.get('TAGS') === 'LMQTT_MARK';
const longMs = 60_000;

async function warm(scripted: ScriptedStore): Promise<void> {
  await scripted.append(lanes.map((lane) => scripted.make(lane, `${lane} 0`)));
}

function each(count: number, make: (n: number, lane: string) => Append): Append[] {
  return lanes.flatMap((lane) => Array.from({ length: count }, (_, n) => make(n + 1, lane)));
}

/** Resolves when so many have been sent. */
async function untilSent(scripted: ScriptedStore, count: number): Promise<void> {
  while (scripted.broker.sent.length < count) await new Promise((resolve) => setImmediate(resolve));
}

function assertStoredOnceInOrder(scripted: ScriptedStore, count: number): void {
  const stored = scripted.broker.storedIn(topic).filter((message) => !isMark(message));
  for (const lane of lanes) {
    const texts = stored.map(({ text }) => text).filter((text) => text.startsWith(`${lane} `));
    assert.deepEqual(
      texts,
      Array.from({ length: count }, (_, n) => `${lane} ${n}`),
      lane,
    );
  }
}

/** All are sent; of each lane the first ones are stored, and nobody is told. */
async function loseAnswers(
  scripted: ScriptedStore,
  count: number,
  storedCount: number,
): Promise<{ readonly answered: Promise<Append[]> }> {
  const { broker } = scripted;
  await warm(scripted);
  broker.sent.length = 0;
  broker.fate = ({ text }) => (Number(text.split(' ')[1]) <= storedCount ? 'unanswered' : 'lost');
  const batch = each(count, (n, lane) => scripted.make(lane, `${lane} ${n}`));
  const answered = scripted.append(batch);
  await untilSent(scripted, Math.min(count, 64) * lanes.length);
  broker.fate = () => 'stored';
  return { answered };
}

void test('one wait, one mark and one pass over each queue answer all that is unknown', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.sendQueueWaitMs = 200;
  const { answered } = await loseAnswers(scripted, 32, 20);
  broker.pulled.length = 0;
  const cutMs = performance.now();
  broker.cut();
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  const tookMs = performance.now() - cutMs;
  assertStoredOnceInOrder(scripted, 33);
  const marks = broker.sent.filter(isMark);
  assert.deepEqual(
    marks.map((mark) => mark.topic),
    [broker.name],
  );
  // Searches one after the other would each have waited so long.
  assert.ok(tookMs < 20 * 1200, `${tookMs} ms`);
  assert.equal(scripted.intents.open_.size, 0);
  assert.equal(scripted.intents.ids.size, 33 * lanes.length);
});

void test('a broker that was started again is not waited for', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.sendQueueWaitMs = longMs;
  await broker.goAway();
  await broker.comeBack('2');
  const { answered } = await loseAnswers(scripted, 8, 3);
  await broker.goAway();
  await broker.comeBack('3');
  const backMs = performance.now();
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  assert.ok(performance.now() - backMs < longMs / 2);
  assertStoredOnceInOrder(scripted, 9);
});

void test('what the same run stores late is found, and not sent again', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.sendQueueWaitMs = 1000;
  const { answered } = await loseAnswers(scripted, 4, 2);
  const late = broker.sent.filter(({ text }) => Number(text.split(' ')[1]) > 2);
  broker.sent.length = 0;
  broker.cut();
  setTimeout(() => late.forEach((message) => broker.store(message)), 500);
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  assert.equal(broker.sent.filter((message) => !isMark(message)).length, 0);
  assertStoredOnceInOrder(scripted, 5);
});

void test('where the topic of its name is refused, the mark goes to the queue itself', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  const { answered } = await loseAnswers(scripted, 2, 1);
  const noPermission = 16;
  broker.fate = (sent) => (sent.topic === broker.name ? noPermission : 'stored');
  broker.sent.length = 0;
  broker.cut();
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  assert.deepEqual(
    broker.sent.filter(isMark).map((mark) => mark.topic),
    [broker.name, topic],
  );
  assertStoredOnceInOrder(scripted, 3);
});

void test('a lane waits past its time while its broker is back and is asked', async (t) => {
  const scripted = await ScriptedStore.open(t, { appendWaitMs: 5000 });
  const { broker } = scripted;
  broker.sendQueueWaitMs = 5000;
  await broker.goAway();
  await broker.comeBack();
  const { answered } = await loseAnswers(scripted, 100, 1);
  broker.cut();
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  assertStoredOnceInOrder(scripted, 101);
});

void test('a lane whose broker stays away ends with 0x83, in order, after its time', async (t) => {
  const scripted = await ScriptedStore.open(t, { appendWaitMs: 1500 });
  const { broker } = scripted;
  await warm(scripted);
  await broker.goAway();
  const beganMs = performance.now();
  const answered = await scripted.append(
    each(40, (n, lane) => scripted.make(lane, `${lane} ${n}`)),
  );
  assert.ok(performance.now() - beganMs >= 1500);
  for (const { reasonCode } of answered) assert.equal(reasonCode, 0x83);
  await broker.comeBack();
  await scripted.append(lanes.map((lane) => scripted.make(lane, `${lane} 1`)));
  assertStoredOnceInOrder(scripted, 2);
});

void test('a window of 1,024 in one lane is stored once, in its order', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.sendQueueWaitMs = longMs;
  await warm(scripted);
  broker.sent.length = 0;
  broker.fate = ({ text }) => (Number(text.split(' ')[1]) <= 50 ? 'unanswered' : 'lost');
  const batch = Array.from({ length: 1024 }, (_, n) => scripted.make('lane-0', `lane-0 ${n + 1}`));
  const answered = scripted.append(batch);
  await untilSent(scripted, 64);
  await broker.goAway();
  broker.fate = () => 'stored';
  await broker.comeBack('2');
  for (const { reasonCode } of await answered) assert.equal(reasonCode, 0);
  const texts = broker.storedIn(topic).map(({ text }) => text);
  assert.deepEqual(
    texts.filter((text) => text.startsWith('lane-0 ')),
    Array.from({ length: 1025 }, (_, n) => `lane-0 ${n}`),
  );
});
