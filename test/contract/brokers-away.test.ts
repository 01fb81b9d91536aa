// The queue store while brokers and name servers of a RocketMQ that is scripted come, go and fall
// silent: nobody waits for those that are away, and the log says it once.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { isTime, pastAllOffsets, positionSince } from '@lmqtt/common/cursor';
import { queueId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { messageOf } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Append } from '@lmqtt/ds/queue-store/queue-store';
import type { RocketmqQueueStore } from '@lmqtt/ds/queue-store/rocketmq/rocketmq-queue-store';
import { RocketmqStoreEvents } from '@lmqtt/ds/queue-store/rocketmq/events';
import type { RocketmqStoreSettings } from '@lmqtt/ds/queue-store/rocketmq/options';
import { forgottenRecordKind, forgottenText } from '@lmqtt/ds/rocketmq/names/broker-records';
import { until as untilWithin } from '../harness/redis/until.ts';
import { type OpenStore, openStore, StoreSurroundings } from './rocketmq-store.ts';
import { ScriptedRocketmq } from './scripted-rocketmq.ts';

const topic = 'scripted';
const waitMs = 20_000;
const queue = queueId(1);

function until(question: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  return untilWithin(async () => question(), timeoutMs, question.toString());
}

class CountedEvents extends RocketmqStoreEvents {
  readonly failedTails: string[] = [];
  readonly away: string[] = [];
  readonly back: string[] = [];

  override tailFailed(name: string, reason: string): void {
    this.failedTails.push(`${name}: ${reason}`);
  }

  override brokerAway(broker: string): void {
    this.away.push(broker);
  }

  override brokerBack(broker: string): void {
    this.back.push(broker);
  }
}

void describe('brokers that are away', () => {
  let around: StoreSurroundings;
  let rocketmq: ScriptedRocketmq;
  let opened: OpenStore;
  let store: RocketmqQueueStore;
  let events: CountedEvents;

  async function open(settings: Partial<RocketmqStoreSettings> = {}): Promise<void> {
    opened = await openStore(rocketmq, around, {
      settings: { refreshMs: 200, ...settings },
      events: (metrics) => (events = new CountedEvents(silentLogs(), metrics, systemClock)),
      beforeStart: (it) => it.onArrivals(() => undefined),
    });
    ({ store } = opened);
  }

  beforeEach(async () => {
    around = new StoreSurroundings(topic);
    rocketmq = new ScriptedRocketmq('broker-a', 'broker-b');
    await rocketmq.start();
  });
  afterEach(async () => {
    await opened.close();
    await rocketmq.stop();
  });

  /** Reason codes of a message to each topic. */
  function publish(...topics: string[]): Promise<number[]> {
    return Promise.all(
      topics.map(
        (name) =>
          new Promise<number>((resolve) => {
            const message = messageOf({
              ...{ topic: name, qos: 1, retain: false },
              ...{ payload: Buffer.from('x'), publisher: 'p' },
            });
            const append: Append = {
              ...{ message, queues: [queue], lane: name, inbound: undefined },
              ...{ reasonCode: 0, orderKey: undefined },
            };
            store.append([append], ([answered]) => resolve(answered!.reasonCode));
          }),
      ),
    );
  }

  async function metricOf(line: string): Promise<number | undefined> {
    const text = await opened.metrics.registry.metrics();
    const found = text.split('\n').find((each) => each.startsWith(`${line} `));
    return found === undefined ? undefined : Number(found.split(' ').at(-1));
  }

  void test('ends of a queue do not wait for a broker that is gone, nor for a silent one', async () => {
    await open();
    const name = around.queues.placeOf(queue);
    for (const broker of rocketmq.brokers) broker.ends.set(name, 7);
    assert.deepEqual(
      (await store.ends(queue)).map(({ end }) => end),
      [7, 7],
    );
    rocketmq.broker('broker-b').mute.add('maxOffset');
    const fromMs = Date.now();
    const silent = await store.ends(queue);
    assert.equal(silent[0]?.end, 7);
    assert.ok(isTime(silent[1]!.end) && -silent[1]!.end >= fromMs && -silent[1]!.end <= Date.now());
    await rocketmq.kill('broker-b');
    await until(async () => {
      const startedMs = performance.now();
      const ends = await store.ends(queue);
      return isTime(ends[1]!.end) && performance.now() - startedMs < 1000;
    }, waitMs);
    assert.equal((await store.ends(queue))[0]?.end, 7);
  });

  void test('its tails say nothing, the broker is told of once, and its return', async () => {
    await open({ tailSuspendMs: 100 });
    await rocketmq.kill('broker-b');
    await until(() => events.away.includes('broker-b'), waitMs);
    assert.deepEqual(events.failedTails, []);
    assert.equal(await metricOf('lmqtt_rocketmq_broker_up{broker="broker-b"}'), 0);
    assert.match(store.notice ?? '', /broker-b/);
    await rocketmq.restart('broker-b');
    await until(() => events.back.includes('broker-b'), waitMs);
    assert.equal(await metricOf('lmqtt_rocketmq_broker_up{broker="broker-b"}'), 1);
    assert.equal(store.notice, null);
    const { pulled } = rocketmq.broker('broker-b');
    const before = pulled.get(`${topic}/0`) ?? 0;
    await until(() => (pulled.get(`${topic}/0`) ?? 0) > before, waitMs);
  });

  void test('a pull that is held for longer than asked is no failure', async () => {
    const lateMs = 6000;
    for (const broker of rocketmq.brokers) broker.heldLateMs = lateMs;
    await open({ tailSuspendMs: 100 });
    const { pulled } = rocketmq.broker('broker-a');
    // The first that waits, a look beside it, and the next that waits.
    await until(() => (pulled.get(`${topic}/0`) ?? 0) > 3, waitMs);
    assert.deepEqual(events.failedTails, []);
  });

  void test('tails of queues that the topic no longer has stop', async () => {
    await open({ tailSuspendMs: 100 });
    const { pulled, topics } = rocketmq.broker('broker-a');
    await until(() => pulled.has(`${topic}/3`), waitMs);
    for (const broker of rocketmq.brokers) broker.topics.set(topic, 1);
    assert.equal(topics.get(topic), 1);
    await until(async () => {
      const before = pulled.get(`${topic}/3`);
      const first = pulled.get(`${topic}/0`)!;
      await until(() => pulled.get(`${topic}/0`)! > first + 5, waitMs);
      return pulled.get(`${topic}/3`) === before;
    }, waitMs);
  });

  void test('topics of a broker that is gone get 0x83, then another place', async () => {
    await open({ appendWaitMs: 1000, brokerGoneMs: 1000 });
    const names = Array.from({ length: 20 }, (_, n) => `away/${n}`);
    assert.deepEqual(new Set(await publish(...names)), new Set([0]));
    await rocketmq.kill('broker-b');
    const codes = new Set(await publish(...names));
    assert.deepEqual(codes, new Set([0, ReasonCode.implementationSpecificError]));
    await until(async () => (await publish(...names)).every((code) => code === 0), 2 * waitMs);
  });

  void test('a broker that is forgotten is not asked for, and comes back as another one', async () => {
    await open({ appendWaitMs: 1000, brokerGoneMs: 60_000, tailSuspendMs: 100 });
    const lmq = around.queues.placeOf(queue);
    for (const broker of rocketmq.brokers) broker.ends.set(lmq, 9);
    const names = Array.from({ length: 20 }, (_, n) => `forgotten/${n}`);
    assert.ok((await publish(...names)).every((code) => code === 0));
    assert.deepEqual(store.partitions(), [0, 1]);
    const since = positionSince(Date.now());
    await rocketmq.kill('broker-b');
    await until(async () => (await publish(...names)).some((code) => code !== 0), waitMs);
    await around.records.remember(
      forgottenRecordKind,
      '1',
      forgottenText({ name: 'broker-b', atMs: 5 }),
    );
    await until(() => store.partitions().length === 1, waitMs);
    assert.deepEqual(
      (await store.ends(queue)).map(({ partition, end }) => [partition, end]),
      [[0, 9]],
    );
    const read = { queue, partition: 1, messagesMax: 10, bytesMax: 1000 };
    const nothing = { messages: [], next: pastAllOffsets, end: pastAllOffsets };
    assert.deepEqual(await store.read({ ...read, from: 4 }), nothing);
    assert.deepEqual(await store.read({ ...read, from: since }), nothing);
    // Long before BROKER_GONE_MS.
    await until(async () => (await publish(...names)).every((code) => code === 0), 2 * waitMs);
    assert.equal(store.notice, null);

    await rocketmq.restart('broker-b');
    await until(() => store.partitions().length === 2, waitMs);
    assert.deepEqual(store.partitions(), [0, 2]);
    // Messages that it had before it was forgotten (here: all but the last two) are owed to nobody.
    rocketmq.broker('broker-b').sinceOffset = 7;
    await until(async () => (await store.ends(queue))[1]?.first === 7, waitMs);
    assert.equal((await store.ends(queue))[1]?.owedFrom, 7);
    const { pulled, sent } = rocketmq.broker('broker-b');
    const before = pulled.get(`${topic}/0`) ?? 0;
    await until(() => (pulled.get(`${topic}/0`) ?? 0) > before, waitMs);
    sent.splice(0);
    await until(async () => {
      assert.ok((await publish(...names)).every((code) => code === 0));
      return sent.length > 0;
    }, 2 * waitMs);
  });

  void test('a topic that was never published goes to a broker that is there, and stays there', async () => {
    await open({ appendWaitMs: 1000, brokerGoneMs: 600_000 });
    const old = Array.from({ length: 20 }, (_, n) => `old/${n}`);
    const fresh = Array.from({ length: 20 }, (_, n) => `old/fresh-${n}`);
    assert.ok((await publish(...old)).every((code) => code === 0));
    await rocketmq.kill('broker-b');
    await until(() => store.notice?.includes('broker-b') === true, waitMs);
    const codes = await publish(...old, ...fresh);
    assert.deepEqual(new Set(codes.slice(0, old.length)), new Set([0, 0x83]));
    assert.deepEqual(new Set(codes.slice(old.length)), new Set([0]));
    const detours = await metricOf('lmqtt_rocketmq_detoured_topics');
    assert.ok(detours !== undefined && detours > 0 && detours < fresh.length, `${detours}`);

    await rocketmq.restart('broker-b');
    await until(async () => (await publish(...old)).every((code) => code === 0), 2 * waitMs);
    const { sent } = rocketmq.broker('broker-b');
    sent.splice(0);
    assert.ok((await publish(...fresh)).every((code) => code === 0));
    const there = sent.filter((each) => each === topic).length;
    assert.equal(there, 0, 'order would not be kept');
    const more = Array.from({ length: 20 }, (_, n) => `old/more-${n}`);
    assert.ok((await publish(...more)).every((code) => code === 0));
    assert.ok(sent.includes(topic), 'new ones go there again');
  });

  void test('a topic goes on at a broker that joins when what it has left elsewhere is indexed', async () => {
    const [a, b] = rocketmq.brokers;
    await rocketmq.kill('broker-b');
    await open();
    const names = Array.from({ length: 20 }, (_, n) => `joined/${n}`);
    assert.ok((await publish(...names)).every((code) => code === 0));
    a!.indexes = false;
    await rocketmq.restart('broker-b');
    const told: Promise<number[]>[] = [];
    await until(() => {
      told.push(publish(...names));
      return a!.sent.includes('broker-a');
    }, waitMs);
    assert.ok(!b!.sent.includes(topic), 'nothing is stored there yet');
    a!.indexes = true;
    a!.ends.set('broker-a', a!.marks);
    assert.ok((await Promise.all(told)).flat().every((code) => code === 0));
    assert.ok(b!.sent.includes(topic));
    const marks = a!.sent.filter((each) => each === 'broker-a').length;
    await publish(...names);
    assert.ok(a!.sent.filter((each) => each === 'broker-a').length === marks, 'no mark for more');
  });

  void test('each broker says since when it answers, and what it has of a place', async () => {
    await open();
    const swept = '%LMQ%swept%';
    rocketmq.broker('broker-b').ends.set(swept, 3);
    rocketmq.broker('broker-b').ends.set(around.queues.placeOf(queue), 3);
    const has = async (place: string): Promise<boolean[]> =>
      Promise.all([...store.returnedStores()].map((one) => one.has(place)));
    assert.deepEqual(await has(swept), [false, true]);
    assert.deepEqual(
      await has(around.queues.placeOf(queue)),
      [false, false],
      'a queue that is there',
    );
    const since = (): (number | undefined)[] =>
      [...store.returnedStores()].map(({ answersSinceMs }) => answersSinceMs);
    const before = since();
    await rocketmq.kill('broker-b');
    await until(() => since()[1] === undefined, waitMs);
    await rocketmq.restart('broker-b');
    await until(() => (since()[1] ?? 0) > before[1]!, waitMs);
    assert.equal(since()[0], before[0]);
  });

  void test('without name servers new topics are stored by the routes that are known', async () => {
    await open();
    assert.deepEqual(await publish('known/0'), [0]);
    assert.equal(store.notice, null);
    await rocketmq.namesrv.stop();
    const names = ['known/1', 'known/2', 'new/1', 'other/1'];
    assert.deepEqual(await publish(...names), [0, 0, 0, 0]);
    await until(() => /name server/.test(store.notice ?? ''), waitMs);
    assert.equal(store.failure, null);
    const line = `lmqtt_rocketmq_name_server_up{address="${rocketmq.namesrv.address}"}`;
    assert.equal(await metricOf(line), 0);
    assert.deepEqual(await publish('known/3', 'new/2', 'third/1'), [0, 0, 0]);
    await rocketmq.namesrv.start();
    await until(() => store.notice === null, waitMs);
    await until(async () => (await metricOf(line)) === 1, waitMs);
    assert.deepEqual(await publish('known/4', 'new/3', 'third/2'), [0, 0, 0]);
  });
});
