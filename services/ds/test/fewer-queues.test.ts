// A topic of RocketMQ that gets fewer queues: what was sent to those that are gone goes elsewhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import type { Append } from '../src/queue-store/queue-store.ts';
import { Placements } from '../src/queue-store/rocketmq/placements.ts';
import { placementRecordKind } from '../src/rocketmq/names/broker-records.ts';
import { RecordsInMemory, ScriptedStore, topic } from './scripted-store.ts';

const lanes = Array.from({ length: 16 }, (_, n) => `lane-${n}`);
/** Shorter than a placement takes that every ds has to know before it counts. */
const goesOnMs = 5000;

void test('publishers of every ds go on at once, in order', async (t) => {
  const one = await ScriptedStore.open(t, { refreshMs: 60_000 });
  const two = await ScriptedStore.open(t, { refreshMs: 60_000 }, one);
  const { broker } = one;
  const round = async (from: number): Promise<void> => {
    const texts = Array.from({ length: 20 }, (_, n) => `${from + n}`);
    const batches = [one, two].map((scripted, ds) =>
      scripted.append(
        lanes.flatMap((lane, n) =>
          texts.map((text) => scripted.make(`${lane}-${ds}`, text, n % 2 === 0 ? 1 : 2)),
        ),
      ),
    );
    for (const { reasonCode } of (await Promise.all(batches)).flat()) assert.equal(reasonCode, 0);
  };
  await round(0);
  broker.writeQueues = 1;
  const beganMs = performance.now();
  await round(20);
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs < goesOnMs, `${tookMs} ms`);
  const stored = broker.storedIn(topic);
  assert.equal(stored.length, 2 * 2 * 20 * lanes.length);
  const of = (name: string): string[] =>
    stored
      .filter(({ properties }) => properties.get('originMqttTopic') === name)
      .map((m) => m.text);
  for (const lane of lanes) {
    for (const ds of [0, 1]) {
      const wanted = Array.from({ length: 40 }, (_, n) => `${n}`);
      assert.deepEqual(of(`t/${lane}-${ds}`), wanted, `${lane}-${ds}`);
    }
  }
});

void test('a placement counts at once only where nobody can send to what it leaves out', async () => {
  let nowMs = 1000;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const placements = new Placements(new RecordsInMemory(), clock);
  const isOver = (): boolean => true;
  const last = (): number => placements.of('t').at(-1)!.fromMs - nowMs;
  await placements.record('t', { a: 4, b: 4 });
  await placements.record('t', { a: 1, b: 4 });
  assert.equal(last(), 6000);
  nowMs += 6000;
  // It still takes what is sent to two of its queues.
  await placements.record('t', { b: 2 }, (broker) => broker === 'b');
  assert.equal(last(), 6000);
  nowMs += 6000;
  await placements.record('t', { b: 1 }, isOver);
  assert.equal(last(), 0);
  await placements.record('t', { a: 1, b: 1 }, isOver);
  assert.equal(last(), 6000);
  // The placement that was to come is not in force: it adds to the one that is.
  await placements.record('t', { a: 1 }, isOver);
  assert.equal(last(), 6000);
});

/** Says how often placements were read, and reads them only while it may. */
class WatchedRecords extends RecordsInMemory {
  reads = 0;
  isAway = false;

  override all(kind: string): Promise<Map<string, string>> {
    if (this.isAway) return Promise.reject(new Error('the registry is away'));
    if (kind === placementRecordKind) this.reads += 1;
    return super.all(kind);
  }
}

void test('a placement counts from its time on, though the store was held up just then', async (t) => {
  let movedMs = 0;
  const clock = {
    nowMs: () => systemClock.nowMs() + movedMs,
    monotonicMs: () => systemClock.monotonicMs(),
  };
  const records = new WatchedRecords();
  const beside = new ScriptedStore();
  t.after(() => beside.broker.close());
  await beside.broker.start();
  Object.assign(beside, { records });
  const scripted = await ScriptedStore.open(t, { refreshMs: 60_000 }, beside, clock);
  const send = (): Promise<Append[]> =>
    scripted.append(lanes.map((lane) => scripted.make(lane, 'x', 1)));
  const isNarrow = async (): Promise<boolean> => {
    const { length } = scripted.broker.sent;
    await send();
    return scripted.broker.sent.slice(length).every(({ queueId }) => queueId === 0);
  };
  assert.ok(!(await isNarrow()));
  const fromMs = clock.nowMs() + 3_600_000;
  const text = JSON.stringify({ topic, queues: { 'broker-a': 1 }, fromMs });
  await records.remember(placementRecordKind, '1', text);
  const { reads } = records;
  while (records.reads < reads + 2) await pause(10);
  assert.ok(!(await isNarrow()));
  // Nothing was looked at in the second before, and nothing can be read now.
  records.isAway = true;
  movedMs = 2 * 3_600_000;
  const endMs = performance.now() + 20_000;
  while (!(await isNarrow()) && performance.now() < endMs) await pause(50);
  assert.ok(await isNarrow());
});
