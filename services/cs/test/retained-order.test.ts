import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Qos } from '@lmqtt/common/qos';
import { RetainedBroker } from './retained-order-fixture.ts';
import type { BrokerOptions, Received } from './retained-order-fixture.ts';

const embedded = { putsLater: false, subscribedQos: 1, persistent: false, pageMax: 4 } as const;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Everything comes, and the client takes all. */
async function settle(broker: RetainedBroker): Promise<void> {
  broker.writable = true;
  for (let idle = 0; idle < 3; idle += 1) {
    broker.session.pump();
    await turn();
    for (const what of ['downstream', 'put', 'durable', 'acknowledge'] as const)
      if (broker.step(what)) idle = 0;
  }
}

function versionsOf(received: readonly Received[], topic: string): number[] {
  return received.filter((each) => each.topic === topic).map(({ version }) => version);
}

/** The topics that went back to an older version. */
function wentBack(received: readonly Received[]): string[] {
  const newest = new Map<string, number>();
  const back: string[] = [];
  for (const { topic, version } of received) {
    if (version < (newest.get(topic) ?? 0)) back.push(`${topic}: ${version}`);
    newest.set(topic, Math.max(version, newest.get(topic) ?? 0));
  }
  return back;
}

for (const putsLater of [false, true]) {
  for (const retain of [false, true]) {
    const name = `${putsLater ? 'a cluster' : 'one ds'}, live with RETAIN ${retain ? 1 : 0}`;

    test(`[MQTT-4.6.0-6] a retained page that was read before a live QoS 0 message: ${name}`, async () => {
      const broker = new RetainedBroker({ ...embedded, putsLater });
      const old = broker.publish('a', 0, true, false);
      broker.publish('b', 0, true, false);
      broker.subscribed();
      broker.session.pump();
      // The page is there, and nothing of it has been sent.
      await broker.deliver();
      const live = broker.publish('a', 0, retain, true);
      await broker.deliver();
      await settle(broker);
      assert.deepEqual(versionsOf(broker.received, 'a'), [live], `not ${old} after it`);
      assert.equal(versionsOf(broker.received, 'b').length, 1);
    });

    test(`[MQTT-4.6.0-6] a topic of a later page that went out live before: ${name}`, async () => {
      const broker = new RetainedBroker({ ...embedded, putsLater, pageMax: 1 });
      for (const topic of ['a', 'b', 'c']) broker.publish(topic, 0, true, false);
      broker.subscribed();
      broker.session.pump();
      const live = broker.publish('c', 0, retain, true);
      await broker.deliver();
      await settle(broker);
      assert.deepEqual(versionsOf(broker.received, 'c'), [live]);
    });
  }
}

test('[MQTT-4.6.0-6] a retained message that is owed as a live one does not come before older ones', async () => {
  const broker = new RetainedBroker(embedded);
  broker.publish('a', 1, true, false);
  broker.writable = false;
  const versions = [1, 2, 3].map(() => broker.publish('a', 1, true, true));
  broker.subscribed();
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received, 'a'), versions);
});

test('[MQTT-4.6.0-6] a retained message that was deleted while its page waits is left out', async () => {
  const broker = new RetainedBroker(embedded);
  broker.publish('a', 0, true, false);
  broker.subscribed();
  broker.session.pump();
  await broker.deliver();
  const deleted = broker.publish('a', 0, true, true);
  await broker.deliver();
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received, 'a'), [deleted]);
});

test('[MQTT-4.6.0-6] a retained QoS 2 message that waits to be stored is outrun by a live one', async () => {
  const broker = new RetainedBroker({ ...embedded, subscribedQos: 2, persistent: true });
  broker.publish('a', 2, true, false);
  broker.subscribed();
  broker.session.pump();
  await broker.deliver();
  broker.session.pump();
  assert.deepEqual(broker.received, [], 'its identifier is being stored');
  const live = broker.publish('a', 0, false, true);
  await broker.deliver();
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received, 'a'), [live]);
});

test('retained messages are sent once more after another SUBSCRIBE, though they went out live', async () => {
  const broker = new RetainedBroker(embedded);
  broker.publish('a', 1, true, false);
  broker.subscribed();
  const live = broker.publish('a', 1, true, true);
  await settle(broker);
  broker.subscribed();
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received, 'a').slice(-2), [live, live]);
});

test('[MQTT-4.6.0-6] a live message that waits for its store at SUBSCRIBE outruns what is retained', async () => {
  const broker = new RetainedBroker({ ...embedded, subscribedQos: 2, persistent: true });
  broker.publish('a', 2, true, false);
  broker.subscribed();
  await settle(broker);
  const live = broker.publish('a', 2, false, true);
  broker.step('downstream');
  broker.session.pump();
  broker.subscribed();
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received.slice(broker.subscribedAt), 'a'), [live]);
});

test('a live QoS 0 message that a slow client did not get is made up for by what is retained', async () => {
  const broker = new RetainedBroker(embedded);
  broker.publish('a', 0, true, false);
  broker.subscribed();
  broker.session.pump();
  broker.writable = false;
  await broker.deliver();
  broker.session.pump();
  const dropped = broker.publish('a', 0, true, true);
  await broker.deliver();
  assert.ok(broker.dropped.has('a'));
  await settle(broker);
  assert.deepEqual(versionsOf(broker.received, 'a'), [dropped]);
});

test('[MQTT-4.6.0-6] more topics go out live than are remembered: the page is read again', async () => {
  const broker = new RetainedBroker({ ...embedded, pageMax: 40_000 });
  const topics = Array.from({ length: 20_000 }, (_, index) => `t${index}`);
  for (const topic of topics) broker.publish(topic, 0, true, false);
  broker.subscribed();
  broker.session.pump();
  broker.step('downstream');
  for (const topic of topics) {
    broker.publish(topic, 0, true, true);
    broker.step('downstream');
  }
  await settle(broker);
  assert.deepEqual(wentBack(broker.received), []);
});

const options: fc.Arbitrary<BrokerOptions> = fc.record({
  putsLater: fc.boolean(),
  subscribedQos: fc.constantFrom<Qos>(0, 1, 2),
  persistent: fc.boolean(),
  pageMax: fc.integer({ min: 1, max: 5 }),
});
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ topic: fc.nat({ max: 11 }), retain: fc.boolean() }) },
    {
      weight: 5,
      arbitrary: fc.constantFrom('downstream', 'put', 'durable', 'acknowledge', 'pump', 'turn'),
    },
    { weight: 1, arbitrary: fc.constantFrom('slow', 'quick', 'lose', 'again') },
  ),
  { maxLength: 120 },
);

test('[MQTT-4.6.0-6] no topic goes back, whatever the timing of pages, pushes, puts and the client', async () => {
  await fc.assert(
    fc.asyncProperty(options, steps, async (chosen, script) => {
      const broker = new RetainedBroker(chosen);
      // Each topic has one QoS: between several there is no order.
      const qosOf = (topic: number): Qos => (topic % 3) as Qos;
      const last = new Map<string, number>();
      for (let topic = 0; topic < 12; topic += 1) {
        last.set(`t${topic}`, broker.publish(`t${topic}`, qosOf(topic), true, false));
      }
      broker.subscribed();
      for (const step of script) {
        if (typeof step === 'object') {
          const name = `t${step.topic}`;
          last.set(name, broker.publish(name, qosOf(step.topic), step.retain, true));
        } else if (step === 'turn') await turn();
        else if (step === 'pump') broker.session.pump();
        else if (step === 'slow' || step === 'quick') broker.writable = step === 'quick';
        else if (step === 'lose') broker.lose();
        else if (step === 'again') broker.subscribed();
        else broker.step(step);
      }
      await settle(broker);
      assert.deepEqual(wentBack(broker.received.slice(broker.subscribedAt)), []);
      for (const [topic, version] of last) {
        if (!broker.dropped.has(topic))
          assert.equal(Math.max(...versionsOf(broker.received, topic)), version, topic);
      }
    }),
    { numRuns: 2000 },
  );
});
