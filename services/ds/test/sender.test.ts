// Appends on their way to a broker: their order, what is sent again and what is not, and limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, systemClock } from '@lmqtt/common/clock';
import type { Append } from '../src/queue-store/queue-store.ts';
import { ScriptedStore, topic } from './scripted-store.ts';

const systemBusy = 2;
const messageIllegal = 13;

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => `${n}`);
const codesOf = (batch: readonly Append[]): number[] => batch.map(({ reasonCode }) => reasonCode);
const storedBy = (scripted: ScriptedStore): string[] =>
  scripted.broker.storedIn(topic).map(({ text }) => text);

/** Stands still but for what a test adds to it. */
class MovedClock implements Clock {
  #movedMs = 0;
  readonly #startMs = systemClock.monotonicMs();

  monotonicMs(): number {
    return this.#startMs + this.#movedMs;
  }

  nowMs(): number {
    return systemClock.nowMs() + this.#movedMs;
  }

  move(ms: number): void {
    this.#movedMs += ms;
  }
}

async function untilSent(scripted: ScriptedStore, count: number): Promise<void> {
  while (scripted.broker.sent.length < count) await new Promise((resolve) => setImmediate(resolve));
}

for (const [sendThreads, wanted] of [
  [1, 8],
  [2, 1],
] as const) {
  void test(`at a broker with ${sendThreads} send threads, ${wanted} of a lane are ahead of the answers`, async (t) => {
    const scripted = new ScriptedStore({ pipelineMax: 8 });
    const { broker } = scripted;
    broker.sendThreads = sendThreads;
    t.after(async () => {
      await scripted.close();
      await broker.close();
    });
    await broker.start();
    await scripted.start();
    await scripted.append([scripted.make('a', 'warm', 1)]);
    broker.sent.length = 0;
    broker.fate = ({ text }) => (text === 'c' ? 'stored' : 'lost');
    void scripted.append(numbers(20).map((text) => scripted.make('a', text, 1)));
    void scripted.append([scripted.make('b', 'b', 1)]);
    // The other lane does not wait for this one.
    await untilSent(scripted, wanted + 1);
    await scripted.append([scripted.make('c', 'c', 0)]);
    assert.deepEqual(
      broker.sent.map(({ text }) => text).filter((text) => text >= '0' && text <= '9'),
      numbers(wanted),
    );
  });
}

void test('what a busy broker refuses is sent again before what is behind it', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  let busy = 6;
  broker.fate = () => {
    busy -= 1;
    return busy >= 0 ? systemBusy : 'stored';
  };
  const batch = numbers(100).map((text, n) => scripted.make('a', text, n % 2 === 0 ? 1 : 2));
  assert.deepEqual(new Set(codesOf(await scripted.append(batch))), new Set([0]));
  assert.deepEqual(storedBy(scripted), numbers(100));
});

void test('what was refused while a later one was stored fails, and nothing else', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  await scripted.append([scripted.make('a', 'warm', 1)]);
  broker.fate = ({ text }) => (text === '3' ? systemBusy : 'stored');
  const batch = await scripted.append(numbers(10).map((text) => scripted.make('a', text)));
  assert.deepEqual(
    codesOf(batch).map((code, n) => (code === 0 ? 'stored' : `${n} failed`)),
    numbers(10).map((n) => (n === '3' ? '3 failed' : 'stored')),
  );
  assert.deepEqual(
    storedBy(scripted).slice(1),
    numbers(10).filter((n) => n !== '3'),
  );
  assert.equal(scripted.intents.open_.size, 0);
});

void test('what a broker never takes fails at once, with its intent, and the lane goes on', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.fate = ({ text }) => (text === '1' ? messageIllegal : 'stored');
  const batch = await scripted.append(numbers(3).map((text) => scripted.make('a', text)));
  assert.notEqual(batch[1]!.reasonCode, 0);
  assert.equal(batch[1]!.final, true);
  assert.deepEqual([batch[0]!.reasonCode, batch[2]!.reasonCode], [0, 0]);
  assert.equal(broker.sent.filter(({ text }) => text === '1').length, 1);
  assert.equal(scripted.intents.open_.size, 0);
});

void test('QoS 0 is sent once, whatever comes of it', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  broker.fate = ({ text }) => (text === '0' ? systemBusy : 'stored');
  await scripted.append([scripted.make('a', '0', 0), scripted.make('a', '1', 1)]);
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    ['0', '1'],
  );
  const figures = await scripted.metrics.registry.metrics();
  assert.match(figures, /^lmqtt_rocketmq_qos0_dropped_total 1$/m);
});

void test('at QoS 1 what came to no answer is sent again, in its order', async (t) => {
  const scripted = await ScriptedStore.open(t);
  const { broker } = scripted;
  await scripted.append([scripted.make('a', 'warm', 1)]);
  broker.sent.length = 0;
  broker.fate = ({ text }) => (Number(text) < 5 ? 'unanswered' : 'lost');
  const answered = scripted.append(numbers(10).map((text) => scripted.make('a', text, 1)));
  await untilSent(scripted, 10);
  broker.fate = () => 'stored';
  broker.cut();
  assert.deepEqual(new Set(codesOf(await answered)), new Set([0]));
  assert.deepEqual(storedBy(scripted).slice(1), [...numbers(5), ...numbers(10)]);
});

void test('a broker that is away is waited for so long by the clock, and no longer', async (t) => {
  const clock = new MovedClock();
  const scripted = await ScriptedStore.open(t, { appendWaitMs: 20_000 }, undefined, clock);
  const { broker } = scripted;
  await scripted.append([scripted.make('a', 'warm')]);
  await broker.goAway();
  // A message written to a connection that has ended is not known to be lost.
  while (scripted.store.failure === null) await new Promise((resolve) => setImmediate(resolve));
  let isAnswered = false;
  const batch = numbers(5).map((text) => scripted.make('a', text));
  const answered = scripted.append(batch).finally(() => {
    isAnswered = true;
  });
  clock.move(19_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isAnswered, false);
  const look = setInterval(() => clock.move(1000), 10);
  t.after(() => clearInterval(look));
  assert.deepEqual(codesOf(await answered), [0x83, 0x83, 0x83, 0x83, 0x83]);
  assert.equal(scripted.intents.open_.size, 0);
});
