// Destination of messages of an MQTT topic while its first level moves between RocketMQ topics, and
// order keys of those that are found in either.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { RocketmqStoreEvents } from '../src/queue-store/rocketmq/events.ts';
import { Placements } from '../src/queue-store/rocketmq/placements.ts';
import { homeRecordKind, Targets } from '../src/queue-store/rocketmq/targets.ts';
import type { Records } from '../src/registry/records.ts';

const mqttTopics = Array.from({ length: 40 }, (_, number) => `sensors/${number}`);

class MemoryRecords implements Records {
  readonly #kinds = new Map<string, Map<string, string>>();

  remember(kind: string, key: string, value: string): Promise<string> {
    const known = this.#kinds.get(kind) ?? new Map<string, string>();
    this.#kinds.set(kind, known);
    if (!known.has(key)) known.set(key, value);
    return Promise.resolve(known.get(key) ?? '');
  }

  numberOf(): Promise<number> {
    return Promise.resolve(0);
  }

  all(kind: string): Promise<Map<string, string>> {
    return Promise.resolve(new Map(this.#kinds.get(kind)));
  }
}

/** Topics with four queues on each of two brokers, or another number. */
function setting(topicRules = ''): {
  readonly clock: { nowMs(): number; monotonicMs(): number };
  readonly placements: Placements;
  readonly targets: Targets;
  readonly setTime: (ms: number) => void;
  readonly placeOf: (mqttTopic: string) => Promise<{ at: string; placement: number }>;
} {
  let timeMs = 1000;
  const clock = { ...systemClock, nowMs: () => timeMs, monotonicMs: () => timeMs };
  const records = new MemoryRecords();
  // The first publish was before there was a topic of that name.
  void records.remember(homeRecordKind, 'sensors', 'lmqtt');
  const placements = new Placements(records, clock);
  const used = (name: string): unknown => {
    if (placements.of(name).length === 0) return undefined;
    const places = [...placements.of(name)].flatMap(({ queues }) =>
      Object.entries(queues).flatMap(([broker, count]) =>
        Array.from({ length: count }, (_, queueId) => ({ broker, queueId })),
      ),
    );
    const queues = new Map(
      places.map(({ broker, queueId }) => [
        `${name}/${broker}/${queueId}`,
        { topic: name, broker: { name: broker }, queueId },
      ]),
    );
    return { name, queues };
  };
  const topics = {
    placements,
    named: used,
    use: (name: string) => Promise.resolve(used(name)),
  };
  const options = {
    ...{ clock, records },
    client: { route: () => Promise.resolve(undefined) },
    events: new RocketmqStoreEvents(silentLogs(), new Metrics(), systemClock),
    settings: { defaultTopic: 'lmqtt', topicRules, topicCreate: '' },
  };
  const targets = new Targets(options as never, { isName: () => false } as never, topics as never);
  return {
    ...{ clock, placements, targets },
    setTime: (ms) => {
      timeMs = ms;
      targets.changed();
    },
    placeOf: async (mqttTopic) => {
      await new Promise((resolve) => targets.seek(mqttTopic, resolve));
      const { queue, placement } = targets.of(mqttTopic)!;
      return { at: `${queue.topic}/${queue.broker.name}/${queue.queueId}`, placement };
    },
  };
}

const wide = { 'broker-a': 8, 'broker-b': 8 };
const narrow = { 'broker-a': 4, 'broker-b': 4 };

async function moved(topicRules?: string): Promise<ReturnType<typeof setting>> {
  const all = setting(topicRules);
  const { placements } = all;
  await placements.record('sensors', wide);
  await placements.record('lmqtt', narrow);
  await placements.recordMove({
    ...{ firstLevel: 'sensors', topic: 'sensors', queues: narrow, fromMs: 5000 },
  });
  return all;
}

void test('a move takes effect at its time; all stays at its broker and queue, later in order', async () => {
  const { placeOf, setTime, targets, placements } = await moved();
  const lmqtt = new Map<string, { at: string; placement: number }>();
  for (const each of mqttTopics) {
    const place = await placeOf(each);
    assert.match(place.at, /^lmqtt\//);
    lmqtt.set(each, place);
  }
  setTime(5000);
  for (const each of mqttTopics) {
    const { at, placement } = await placeOf(each);
    const before = lmqtt.get(each)!;
    assert.equal(at.split('/')[0], 'sensors');
    assert.equal(at.split('/').slice(1).join(), before.at.split('/').slice(1).join());
    assert.ok(placement > before.placement, `${placement} after ${before.placement}`);
    const [topic, broker, queueId] = before.at.split('/');
    const key = targets.placementAt(each, topic!, broker!, Number(queueId), 4000);
    assert.equal(key, before.placement, 'what is found where it was');
    assert.equal(targets.placementAt(each, 'sensors', broker!, Number(queueId), 5000), placement);
    const former = targets.former(each, 4000);
    assert.deepEqual(
      former.map(({ placement: key }) => key),
      [before.placement],
    );
    assert.equal(former[0]?.queue.topic, 'lmqtt');
    assert.deepEqual(targets.former(each, 5000), []);
    assert.equal(targets.placementAt(each, 'elsewhere', broker!, Number(queueId), 5000), -1);
  }
  assert.equal([...placements.moves].length, 1);
});

void test('there and back: order keys grow', async () => {
  const { placeOf, setTime, placements } = await moved();
  const keys: number[] = [(await placeOf('sensors/1')).placement];
  setTime(5000);
  keys.push((await placeOf('sensors/1')).placement);
  await placements.recordMove({
    ...{ firstLevel: 'sensors', topic: 'lmqtt', queues: narrow, fromMs: 9000 },
  });
  setTime(8999);
  assert.match((await placeOf('sensors/1')).at, /^sensors\//);
  setTime(9000);
  const { at, placement } = await placeOf('sensors/1');
  assert.match(at, /^lmqtt\//);
  keys.push(placement);
  assert.deepEqual(
    [...keys].sort((a, b) => a - b),
    keys,
  );
  assert.equal(new Set(keys).size, 3);
});

void test('a message has the placement of its time, though its topic has left the place and come back', async () => {
  const { placeOf, setTime, targets, placements } = setting();
  const both = { 'broker-a': 4, 'broker-b': 4 };
  const one = { 'broker-a': 4 };
  await placements.record('lmqtt', both);
  const before = new Map<string, string>();
  for (const each of mqttTopics) before.set(each, (await placeOf(each)).at);
  setTime(10_000);
  await placements.record('lmqtt', one);
  setTime(30_000);
  await placements.record('lmqtt', both);
  setTime(40_000);
  const moved = mqttTopics.filter((each) => before.get(each)?.includes('/broker-b/'));
  assert.ok(moved.length > 0 && moved.length < mqttTopics.length);
  for (const each of mqttTopics) {
    const [topic, broker, queueId] = before.get(each)!.split('/');
    const at = (storedMs: number): number =>
      targets.placementAt(each, topic!, broker!, Number(queueId), storedMs);
    const wanted = moved.includes(each) ? [0, 0, 2, 2] : [0, 0, 0, 0];
    // In force from 16,000 and 36,000 on; what is stored a little late is of the time before.
    for (let round = 0; round < 2; round += 1) {
      assert.deepEqual([at(2000), at(18_000), at(34_000), at(50_000)], wanted);
      targets.of(each);
    }
    assert.equal(
      targets.of(each)!.left?.queue.broker.name,
      moved.includes(each) ? 'broker-a' : undefined,
    );
  }
  setTime(200_000);
  for (const each of moved) assert.equal(targets.of(each)!.left, undefined);
});

void test('what a rule places does not move, and other levels do not', async () => {
  const { placeOf, setTime } = await moved('sensors/1 = lmqtt-rule');
  setTime(5000);
  await assert.rejects(placeOf('sensors/1'), 'the topic of the rule is not there');
  assert.match((await placeOf('sensors/2')).at, /^sensors\//);
  assert.match((await placeOf('others/2')).at, /^lmqtt\//);
});

void test('every ds reads the same of the registry', async () => {
  const { placements, clock } = await moved();
  const records = new MemoryRecords();
  const [one, other] = [new Placements(records, clock), new Placements(records, clock)];
  const move = { firstLevel: 'a', topic: 'b', queues: narrow, fromMs: 9000 };
  await one.record('b', wide);
  await other.recordMove(move);
  await one.read();
  assert.deepEqual(one.movesOf('a'), [{ ...move, number: 1 }]);
  assert.equal(one.nextMs, 9000);
  await other.recordMove(move);
  assert.equal([...other.moves].length, 1);
  assert.equal(placements.movesOf('a').length, 0);
});
