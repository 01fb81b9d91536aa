// Messages that a tail sends on to buckets, at a broker that is only said to be there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type { Append } from '../src/queue-store/queue-store.ts';
import { Dispatches, type TailDispatch } from '../src/queue-store/rocketmq/dispatches.ts';
import { RocketmqStoreEvents } from '../src/queue-store/rocketmq/events.ts';
import { StoredReader } from '../src/rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../src/rocketmq/message/stored-message.ts';
import type { PullRequest, PullAnswer } from '../src/rocketmq/remoting/requests/pull-message.ts';
import type { SendAnswer, SendRequest } from '../src/rocketmq/remoting/requests/send-message.ts';
import { turns } from './moved-clock.ts';
import { storedBytes, textOfProperties } from './rocketmq-stored.ts';

const bucket = '%LMQ%##lmqtt#1';
const source = { partition: 0, queuesOf: () => [], placementOf: () => -1 };

const messageAt = (queueOffset: number, more: Record<string, string> = {}): StoredMessage => {
  const properties = textOfProperties(
    Object.entries({ INNER_MULTI_DISPATCH: '%LMQ%a%b%', originMqttTopic: 'a/b', ...more }),
  );
  const sent = { topic: 't', properties, body: Buffer.from(`${queueOffset}`) };
  return new StoredReader().read(
    storedBytes({ ...sent, queueOffset, lmqOffsets: [9] }),
    source,
  )[0]!;
};

/** Stores what it is sent, unless it is told to answer otherwise. */
class FakeBroker {
  readonly name = 'broker-a';
  readonly connection: FakeBroker | undefined = this;
  readonly stored: SendRequest[] = [];
  readonly answers: SendAnswer[] = [];
  readonly partition = 0;
  pipelines = false;
  /** Answers that are held back; undefined: each comes at once. */
  held: (() => void)[] | undefined;
  /** Sends in their order, whatever became of them. */
  readonly asked: string[] = [];

  maxOffset(): Promise<number> {
    return Promise.resolve(this.stored.length);
  }

  searchOffset(): Promise<number> {
    return Promise.resolve(0);
  }

  send(request: SendRequest, done: (answer: SendAnswer) => void): void {
    this.asked.push(request.body.toString());
    if (this.held === undefined) this.#answer(request, done);
    else this.held.push(() => this.#answer(request, done));
  }

  #answer(request: SendRequest, done: (answer: SendAnswer) => void): void {
    const answer = this.answers.shift();
    if (answer !== undefined && answer.kind !== 'stored') {
      setImmediate(() => done(answer));
      return;
    }
    const queueOffset = this.stored.push(request) - 1;
    const code = 0 as const;
    const place = { queueId: 0, queueOffset, msgId: '', transactionId: undefined };
    setImmediate(() => done({ kind: 'stored', code, ...place }));
  }

  pull({ offset }: PullRequest, done: (answer: PullAnswer) => void): void {
    const max = this.stored.length;
    const bodies = this.stored.slice(offset).map(({ properties, body, topic }, index) => {
      return storedBytes({ topic, properties, body, queueOffset: offset + index });
    });
    const found = { kind: 'found' as const, body: Buffer.concat(bodies), next: max, min: 0, max };
    setImmediate(() => done(found));
  }

  get bodies(): string[] {
    return this.stored.map(({ body }) => body.toString());
  }
}

interface Setting {
  readonly broker: FakeBroker;
  readonly tail: () => TailDispatch;
  /** Copies that went to the place of their MQTT topic. */
  readonly home: readonly { readonly key: string; readonly again: boolean }[];
  /** Reason codes of the next appends there. */
  readonly failures: number[];
  readonly metrics: Metrics;
}

function setting(found = -1): Setting {
  const broker = new FakeBroker();
  const metrics = new Metrics();
  const events = new RocketmqStoreEvents(silentLogs(), metrics, systemClock);
  const options = {
    queues: {
      placeOf: () => undefined,
      atPlace: () => [],
      missed: (topic: string, names: readonly string[], whole: boolean) => {
        if (topic === 'x/y' && whole) return ['%LMQ%x%#%'].filter((name) => !names.includes(name));
        return topic === 'a/b' && names.includes('%LMQ%a%b%') ? [bucket] : [];
      },
      isKnown: (_topic: string, names: readonly string[]) => names.includes('%LMQ%x%#%'),
    },
    clock: systemClock,
    events,
    settings: { dispatchTopic: 'lmqtt-dispatch', topicQueues: 4, pipelineMax: 8, tailPullsMax: 2 },
  };
  const used = { name: 'lmqtt-dispatch', ours: true, starts: {} };
  const queues = new Map([['lmqtt-dispatch/broker-a/0', undefined]]);
  const topics = {
    use: () => Promise.resolve({ ...used, queues } as never),
    follow: () => Promise.resolve(),
  };
  const home: { readonly key: string; readonly again: boolean; readonly body: string }[] = [];
  const failures: number[] = [];
  const seeker = { seek: () => Promise.resolve(found) };
  const dispatches = new Dispatches(options, topics, seeker, (append: Append, once, done) => {
    append.reasonCode = failures.shift() ?? 0;
    if (append.reasonCode === 0) home.push({ ...once, body: append.message.payload.toString() });
    setImmediate(done);
  });
  const queue = { name: 't/broker-a/0', topic: 't', broker, queueId: 0 };
  return { broker, metrics, home, failures, tail: () => dispatches.of(queue as never) };
}

const countOf = async (metrics: Metrics, result: string): Promise<boolean> =>
  (await metrics.registry.metrics()).includes(
    `lmqtt_rocketmq_dispatches_total{result="${result}"} 1`,
  );

void test('only messages of back ends that name a bucket queue by its own name are sent on', async () => {
  const { broker, tail } = setting();
  const dispatch = tail();
  const messages = [
    messageAt(1),
    messageAt(2, { lmqttPublisher: 'a device' }),
    messageAt(3, { originMqttTopic: 'a/c' }),
    messageAt(4, { INNER_MULTI_DISPATCH: '%LMQ%a%+%' }),
  ];
  const missed = dispatch.missed(messages);
  assert.deepEqual(
    missed.map(({ stored }) => stored.queueOffset),
    [1],
  );
  await dispatch.send(missed);
  assert.deepEqual(broker.bodies, ['1']);
  const { topic, properties } = broker.stored[0]!;
  assert.equal(topic, 'lmqtt-dispatch');
  assert.ok(properties.includes(`INNER_MULTI_DISPATCH\u0001${bucket}\u0002`), properties);
  assert.ok(properties.includes('originMqttTopic\u0001a/b\u0002'), properties);
});

void test('a ds that takes a tail over sends on only what was not, and says so of what may be', async () => {
  const { broker, tail, metrics } = setting();
  const before = tail();
  await before.send(before.missed([messageAt(1), messageAt(2)]));
  const after = tail();
  await after.send(after.missed([messageAt(2), messageAt(3)]));
  assert.deepEqual(broker.bodies, ['1', '2', '3']);
  assert.ok(await countOf(metrics, 'known'));
  assert.ok(broker.stored[2]!.properties.includes('lmqttAgain\u00012\u0002'));
});

void test('what was sent on of a range that is read again is not sent a second time', async () => {
  const { broker, tail } = setting();
  const dispatch = tail();
  await dispatch.send(dispatch.missed([messageAt(1)]));
  await dispatch.send(dispatch.missed([messageAt(1), messageAt(2)]));
  assert.deepEqual(broker.bodies, ['1', '2']);
});

void test('a send that came to nothing is tried again, in its order', async () => {
  const { broker, tail } = setting();
  broker.answers.push({ kind: 'refused', code: 2, remark: 'busy' });
  broker.answers.push({ kind: 'not sent', reason: 'lost' });
  const dispatch = tail();
  await dispatch.send(dispatch.missed([messageAt(1), messageAt(2)]));
  assert.deepEqual(broker.bodies, ['1', '2']);
});

void test('a send without an answer is looked for: it may be stored', async () => {
  const { broker, tail } = setting(7);
  broker.answers.push({ kind: 'unknown', reason: 'lost' });
  const dispatch = tail();
  await dispatch.send(dispatch.missed([messageAt(1), messageAt(2)]));
  assert.deepEqual(broker.bodies, ['2']);
});

void test('what the broker refuses for good holds up nothing, and is counted', async () => {
  const { broker, tail, metrics } = setting();
  broker.answers.push({ kind: 'refused', code: 13, remark: 'too large' });
  const dispatch = tail();
  await dispatch.send(dispatch.missed([messageAt(1), messageAt(2)]));
  assert.deepEqual(broker.bodies, ['2']);
  assert.ok(await countOf(metrics, 'failed'));
});

void test('a broker with one send thread gets those of one topic ahead of its answers', async () => {
  const { broker, tail } = setting();
  Object.assign(broker, { pipelines: true, held: [] });
  const dispatch = tail();
  const messages = Array.from({ length: 12 }, (_, offset) => messageAt(offset));
  const sent = dispatch.send(dispatch.missed(messages.slice(0, 6)));
  const behind = dispatch.send(dispatch.missed(messages.slice(6)));
  await turns();
  assert.equal(broker.asked.length, 8);
  while (broker.held!.length > 0) {
    broker.held!.shift()!();
    await turns();
  }
  await Promise.all([sent, behind]);
  assert.deepEqual(
    broker.bodies,
    messages.map(({ queueOffset }) => `${queueOffset}`),
  );
});

void test('a broker with several send threads gets one of each topic at a time', async () => {
  const { broker, tail } = setting();
  broker.held = [];
  const dispatch = tail();
  const sent = dispatch.send(
    dispatch.missed([messageAt(1), messageAt(2), topicOnly(3, 'x/y'), topicOnly(4, 'x/y')]),
  );
  await turns();
  assert.deepEqual(broker.asked, ['1', '3']);
  while (broker.held.length > 0) {
    broker.held.shift()!();
    await turns();
  }
  await sent;
  assert.deepEqual(broker.bodies, ['1', '3', '2', '4']);
});

void test('of sends that were lost with their connection only those that are not stored are sent again', async () => {
  const { broker, tail, metrics } = setting();
  Object.assign(broker, { pipelines: true, held: [] });
  const dispatch = tail();
  const sent = dispatch.send(dispatch.missed([1, 2, 3, 4].map((offset) => messageAt(offset))));
  await turns();
  assert.deepEqual(broker.asked, ['1', '2', '3', '4']);
  broker.answers.push({ kind: 'stored' } as SendAnswer);
  for (let n = 0; n < 3; n += 1) broker.answers.push({ kind: 'unknown', reason: 'lost' });
  const answers = broker.held!.splice(0);
  broker.held = undefined;
  for (const answer of answers) answer();
  await sent;
  assert.deepEqual(broker.bodies, ['1', '2', '3', '4']);
  assert.ok(broker.stored[1]!.properties.includes('lmqttAgain'));
  assert.ok((await metrics.registry.metrics()).includes('dispatches_total{result="stored"} 4'));
});

void test('behind what cannot be sent now nothing is sent until all is answered', async () => {
  const { broker, tail } = setting();
  Object.assign(broker, { pipelines: true, held: [] });
  const dispatch = tail();
  const first = dispatch.send(dispatch.missed([messageAt(1)]));
  await turns();
  Object.assign(broker, { connection: undefined });
  const second = dispatch.send(dispatch.missed([messageAt(2)]));
  const failed = assert.rejects(second);
  await failed;
  Object.assign(broker, { connection: broker });
  await assert.rejects(dispatch.send(dispatch.missed([messageAt(3)])));
  broker.held!.shift()!();
  await first;
  broker.held = undefined;
  await dispatch.send(dispatch.missed([messageAt(1), messageAt(2), messageAt(3)]));
  assert.deepEqual(broker.bodies, ['1', '2', '3']);
});

void test('a tail that was stopped sends nothing on', async () => {
  const { broker, tail } = setting();
  const dispatch = tail();
  dispatch.stop();
  await assert.rejects(dispatch.send(dispatch.missed([messageAt(1)])));
  assert.deepEqual(broker.bodies, []);
});

/** A message of a back end that names no queue. */
const topicOnly = (
  queueOffset: number,
  topic: string,
  more: Record<string, string> = {},
): StoredMessage => {
  const properties = textOfProperties(Object.entries({ ...{ mqttTopic: topic }, ...more }));
  const sent = { topic: 't', properties, body: Buffer.from(`${queueOffset}`) };
  return new StoredReader().read(storedBytes({ ...sent, queueOffset }), source)[0]!;
};

void test('a message with an MQTT topic goes to all queues of the topic that it does not name', async () => {
  const { broker, tail } = setting();
  const dispatch = tail();
  const missed = dispatch.missed([
    topicOnly(1, 'x/y'),
    topicOnly(2, 'x/z'),
    topicOnly(3, 'x/y', { INNER_MULTI_DISPATCH: '%LMQ%x%y%' }),
    topicOnly(4, 'x/y', { INNER_MULTI_DISPATCH: '%LMQ%x%#%' }),
    topicOnly(5, 'x/y', { lmqttPublisher: 'a device' }),
  ]);
  assert.deepEqual(
    missed.map(({ stored }) => stored.queueOffset),
    [1, 3],
  );
  await dispatch.send(missed);
  assert.deepEqual(broker.bodies, ['1', '3']);
  assert.ok(broker.stored[0]!.properties.includes('INNER_MULTI_DISPATCH\u0001%LMQ%x%#%\u0002'));
  assert.ok(broker.stored[0]!.properties.includes('originMqttTopic\u0001x/y\u0002'));
});

void test('a name of a queue without wildcards says the MQTT topic, a RocketMQ topic does not', () => {
  const dispatch = setting().tail();
  const messages = [
    messageAt(1, { INNER_MULTI_DISPATCH: '%LMQ%x%y%', originMqttTopic: '' }),
    messageAt(2, { INNER_MULTI_DISPATCH: '%LMQ%x%+%', originMqttTopic: '' }),
  ];
  assert.deepEqual(
    dispatch.missed(messages).map(({ stored }) => stored.queueOffset),
    [1],
  );
});

void test('a retained message goes to the place of its MQTT topic, once', async () => {
  const { broker, tail, home, failures } = setting();
  failures.push(0x88);
  const dispatch = tail();
  const retained = topicOnly(1, 'x/y', { retain: 'true' });
  const missed = dispatch.missed([retained, topicOnly(2, 'x/z', { retain: '1' })]);
  await dispatch.send(missed);
  await dispatch.send(missed);
  assert.deepEqual(broker.bodies, ['1']);
  assert.equal(home.length, 2);
  const after = tail();
  await after.send(after.missed([retained]));
  assert.equal(home.length, 2);
  const copy = topicOnly(3, 'x/y', { UNIQ_KEY: home[0]!.key, lmqttRetain: '1' });
  assert.deepEqual(dispatch.missed([copy]), []);
});

void test('what is no message for devices is left alone, and counted by the reason', async () => {
  const { tail, metrics } = setting();
  const dispatch = tail();
  const messages = [
    topicOnly(1, 'x/y', { retain: 'perhaps' }),
    topicOnly(2, 'x/y', { qosLevel: '3' }),
    topicOnly(3, 'x/y', { mqtt5UserProperty: '{' }),
    topicOnly(4, '$SYS/x'),
    topicOnly(5, '', {}),
    topicOnly(6, 'x/z'),
    topicOnly(7, 'x/z', { INNER_MULTI_DISPATCH: '%LMQ%unknown' }),
    topicOnly(8, 'x/y'),
  ];
  assert.deepEqual(
    dispatch.missed(messages).map(({ stored }) => stored.queueOffset),
    [8],
  );
  dispatch.told(messages);
  const text = await metrics.registry.metrics();
  const counts = {
    'bad properties': 3,
    'reserved topic': 1,
    'no topic': 1,
    'no subscriber': 1,
    'unknown queue': 1,
  };
  for (const [reason, count] of Object.entries(counts))
    assert.ok(text.includes(`lmqtt_rocketmq_unmapped_total{reason="${reason}"} ${count}`), reason);
});
