// MQTT 3.1.1: what a session, the retained messages and the wills are after the broker was killed
// (SIGKILL) and started again.
import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();
const own = { skip: process.env['LMQTT_TEST_BROKER'] ? 'needs a broker of its own' : false };

/** The steps of a test; each `yield` is a kill and a new start of the broker. */
type Steps = AsyncGenerator<undefined, void>;

interface Scenario {
  readonly steps: Steps;
  over: boolean;
  error?: unknown;
}

const scenarios: Scenario[] = [];
let driven: Promise<void> | undefined;

/** All scenarios go from crash to crash together, since a start takes time. */
async function drive(): Promise<void> {
  for (;;) {
    const running = scenarios.filter(({ over }) => !over);
    await Promise.all(
      running.map(async (scenario) => {
        try {
          scenario.over = (await scenario.steps.next()).done === true;
        } catch (error) {
          scenario.over = true;
          scenario.error = error;
        }
      }),
    );
    if (running.every(({ over }) => over)) return;
    await suite.broker.kill();
    await suite.broker.restart();
  }
}

function survives(name: string, steps: () => Steps): void {
  const scenario: Scenario = { steps: steps(), over: false };
  scenarios.push(scenario);
  test(name, own, async () => {
    driven ??= drive();
    await driven;
    if (scenario.error !== undefined) throw scenario.error;
  });
}

async function resume(clientId: string): Promise<RawClient> {
  return suite.client({ clientId, clean: false, sessionPresent: true });
}

survives('[MQTT-4.1.0-1] [MQTT-3.1.2-5] subscriptions and waiting messages', async function* () {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe([`${topic}/a`, `${topic}/gone`], 2);
  await first.unsubscribe(`${topic}/gone`);
  await first.disconnect();
  const publisher = await suite.client();
  await publisher.publish(`${topic}/gone`, 'x', { qos: 1 });
  await publisher.publish(`${topic}/a`, 'one', { qos: 1 });
  await publisher.publish(`${topic}/a`, 'two', { qos: 2 });
  yield;
  const second = await resume(clientId);
  await second.receive({ payload: 'one', qos: 1 });
  await second.receive({ payload: 'two', qos: 2 });
  await second.publish(`${topic}/a`, 'three', { qos: 1 });
  await second.receive({ payload: 'three', qos: 1 });
  await second.expectNothing();
});

survives('[MQTT-4.1.0-1] what was acknowledged does not come again', async function* () {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 2);
  await first.publish(topic, 'done', { qos: 2 });
  const { packetId } = await first.find('publish', { payload: 'done' });
  first.sendAck('pubrec', packetId);
  await first.find('pubrel', { packetId });
  first.sendAck('pubcomp', packetId);
  await first.disconnect();
  yield;
  const second = await resume(clientId);
  await second.publish(topic, 'next', { qos: 1 });
  await second.receive({ payload: 'next' });
});

survives(
  '[MQTT-4.4.0-1] [MQTT-3.3.1-1] outbound QoS 2, at each step of the handshake',
  async function* () {
    const clientId = unique();
    const topic = unique();
    const first = await suite.client({ clientId, clean: false });
    await first.subscribe(topic, 2);
    const publisher = await suite.client();
    await publisher.publish(topic, 'a', { qos: 2 });
    await publisher.publish(topic, 'b', { qos: 2 });
    const a = await first.expect('publish', { payload: 'a', dup: false });
    const b = await first.expect('publish', { payload: 'b', dup: false });
    first.sendAck('pubrec', b.packetId);
    await first.expect('pubrel', { packetId: b.packetId });
    yield;

    const second = await resume(clientId);
    await second.find('publish', { payload: 'a', dup: true, packetId: a.packetId });
    await second.find('pubrel', { packetId: b.packetId });
    await second.expectNothing();
    second.sendAck('pubrec', a.packetId);
    await second.expect('pubrel', { packetId: a.packetId });
    yield;

    const third = await resume(clientId);
    for (const { packetId } of [a, b]) {
      await third.find('pubrel', { packetId });
      third.sendAck('pubcomp', packetId);
    }
    await third.expectNothing();
  },
);

survives('[MQTT-4.4.0-1] outbound QoS 1 that was not acknowledged comes again', async function* () {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId, clean: false });
  await first.subscribe(topic, 1);
  const publisher = await suite.client();
  for (const payload of ['a', 'b', 'c']) {
    await publisher.publish(topic, payload, { qos: 1 });
    await first.expect('publish', { payload });
  }
  yield;
  const second = await resume(clientId);
  for (const payload of ['a', 'b', 'c']) await second.receive({ payload });
  await second.expectNothing();
});

survives('[MQTT-4.3.3-2] inbound QoS 2, at each step of the handshake', async function* () {
  const clientId = unique();
  const watcherId = unique();
  const topic = unique();
  const watcher = await suite.client({ clientId: watcherId, clean: false });
  await watcher.subscribe(topic, 2);
  await watcher.disconnect();
  const first = await suite.client({ clientId, clean: false });
  first.sendPublish({ topic, qos: 2, packetId: 9, payload: 'once' });
  await first.expect('pubrec', { packetId: 9 });
  yield;

  const second = await resume(clientId);
  second.sendPublish({ topic, qos: 2, packetId: 9, dup: true, payload: 'once' });
  await second.expect('pubrec', { packetId: 9 });
  second.sendAck('pubrel', 9);
  await second.expect('pubcomp', { packetId: 9 });
  yield;

  const third = await resume(clientId);
  third.sendAck('pubrel', 9);
  await third.expect('pubcomp', { packetId: 9 });
  await third.publish(topic, 'new', { qos: 2, packetId: 9 });
  const again = await resume(watcherId);
  await again.receive({ payload: 'once' });
  await again.receive({ payload: 'new' });
  await again.expectNothing();
});

survives('[MQTT-3.3.1-5] [MQTT-3.3.1-10] retained messages', async function* () {
  const [kept, gone] = [unique(), unique()];
  const publisher = await suite.client();
  await publisher.publish(kept, 'old', { qos: 1, retain: true });
  await publisher.publish(kept, 'kept', { qos: 2, retain: true });
  await publisher.publish(gone, 'gone', { qos: 1, retain: true });
  await publisher.publish(gone, '', { qos: 1, retain: true });
  yield;
  const subscriber = await suite.client();
  await subscriber.subscribe([kept, gone], 2);
  await subscriber.receive({ topic: kept, payload: 'kept', qos: 2, retain: true });
  await subscriber.expectNothing();
});

survives(
  '[MQTT-3.1.2-8] [MQTT-3.1.2-10] a will is published once after the crash',
  async function* () {
    const watcherId = unique();
    const topic = unique();
    const watcher = await suite.client({ clientId: watcherId, clean: false });
    await watcher.subscribe(topic, 1);
    await watcher.disconnect();
    const said = await suite.client({ will: { topic, payload: 'discarded', qos: 1 } });
    await said.disconnect();
    await suite.client({ will: { topic, payload: 'the will', qos: 1 } });
    yield;
    const again = await resume(watcherId);
    await again.receive({ topic, payload: 'the will' });
    await again.ping();
    await again.disconnect();
    yield;
    const last = await resume(watcherId);
    await last.publish(topic, 'not a will', { qos: 1 });
    await last.receive({ topic, payload: 'not a will' });
  },
);

survives('[MQTT-3.1.2-6] a clean session is gone', async function* () {
  const clientId = unique();
  const topic = unique();
  const first = await suite.client({ clientId });
  await first.subscribe(topic, 2);
  yield;
  const second = await suite.client({ clientId, clean: false, sessionPresent: false });
  await second.publish(topic, 'x', { qos: 1 });
  await second.expectNothing();
});
