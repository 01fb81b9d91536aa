import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '@lmqtt/common/message';
import {
  type Broker,
  connect,
  durable,
  left,
  lost,
  plain,
  publish,
  publishOf,
  startBroker,
  subscribeTo,
  until,
} from './fake-cs.ts';

async function withBroker(
  settings: Record<string, string | number>,
  run: (broker: Broker) => Promise<void>,
): Promise<void> {
  const broker = await startBroker(settings);
  try {
    await run(broker);
  } finally {
    await broker.stop();
  }
}

test('an absent session keeps its newest messages, up to the limit', () =>
  withBroker({ 'max-queued-messages': 5 }, async (broker) => {
    const a = await connect(broker, 'a');
    await subscribeTo(broker, a.session, 't');
    await broker.link.disconnect(a.session, left);
    const p = await connect(broker, 'p');
    for (let i = 0; i < 8; i += 1) await publish(broker, p.session, 't', `${i}`);
    const again = await connect(broker, 'a');
    assert.equal(again.answer.state.subscriptions[0]?.positions[0]?.position, 3);
    assert.equal(
      (await broker.ds.clients({ after: null, clientsMax: 1, filter: {} })).lines[0]?.lost,
      3,
    );
  }));

test('bytes that wait for an absent session are limited', () =>
  withBroker({ 'max-queued-bytes': 10_000, 'max-packet-size': 4096 }, async (broker) => {
    const a = await connect(broker, 'a');
    await subscribeTo(broker, a.session, 't');
    await broker.link.disconnect(a.session, left);
    const p = await connect(broker, 'p');
    for (let i = 0; i < 20; i += 1) await publish(broker, p.session, 't', 'x'.repeat(999));
    const again = await connect(broker, 'a');
    // Each holds 1,256 bytes with its topic and what an object takes: seven stay.
    assert.equal(again.answer.state.subscriptions[0]?.positions[0]?.position, 13);
  }));

test('a session has so many subscriptions and no more', () =>
  withBroker({ 'max-subscriptions-per-session': 2 }, async (broker) => {
    const { session } = await connect(broker, 'a');
    const entries = ['1', '2', '3'].map((filter) => ({ filter, options: plain }));
    const answers = await broker.link.subscribe(session, entries);
    assert.deepEqual(
      answers.map((answer) => (answer.kind === 'refused' ? answer.reasonCode : 0)),
      [0, 0, 0x97],
    );
    await subscribeTo(broker, session, '1', { qos: 0 });
    assert.deepEqual(await broker.link.unsubscribe(session, ['1', '1', 'x']), [0, 0x11, 0x11]);
    await subscribeTo(broker, session, '3');
  }));

test('a filter that is not valid is refused', () =>
  withBroker({}, async (broker) => {
    const { session } = await connect(broker, 'a');
    const entries = ['a/#/b', '$share/g', '$share/+/a', ''].map((filter) => {
      return { filter, options: plain };
    });
    for (const answer of await broker.link.subscribe(session, entries))
      assert.deepEqual(answer, { kind: 'refused', reasonCode: 0x8f });
  }));

test('granted expiry is no longer than the maximum', () =>
  withBroker({ 'session-expiry-s-max': 60 }, async (broker) => {
    const { answer } = await connect(broker, 'a', { sessionExpiryS: 0xffffffff });
    assert.equal(answer.sessionExpiryS, 60);
  }));

test('the log is trimmed as positions move', () =>
  withBroker({ 'segment-bytes': 65_536, 'checkpoint-interval-s': 1 }, async (broker) => {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't');
    const { queue } = subscription;
    for (let i = 0; i < 100; i += 1) {
      const message = messageOf({ topic: 't', qos: 1, retain: false, payload: Buffer.alloc(4096) });
      broker.link.publish([{ ...publishOf(a.session, 't', ''), message }]);
    }
    await until(() => broker.cs.answered.length === 100, 'the answers');
    await durable(broker, [
      { kind: 'position', session: a.session, queue, partition: 0, position: 90 },
    ]);
    const read = () =>
      broker.link.read({ queue, partition: 0, from: 0, messagesMax: 1, bytesMax: 1 });
    let first = -1;
    for (let i = 0; i < 100 && first !== 90; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      first = (await read()).messages[0]?.entries[0]?.offset ?? -1;
    }
    assert.equal(first, 90);
  }));

test('the answers of a session come in the order of its publishes', () =>
  withBroker({}, async (broker) => {
    const { session } = await connect(broker, 'a');
    await subscribeTo(broker, session, 'some');
    const sent = Array.from({ length: 200 }, (_, i) =>
      publishOf(session, i % 3 === 0 ? '$SYS/x' : i % 2 === 0 ? 'some' : 'none', `${i}`, 1),
    );
    for (const one of sent) broker.link.publish([one]);
    await until(() => broker.cs.answered.length === sent.length, 'the answers');
    assert.deepEqual(broker.cs.answered, sent);
  }));

test('publishes that come while answers are taken change neither their number nor their order', () =>
  withBroker({}, async (broker) => {
    const { cs, link } = broker;
    const a = await connect(broker, 'a');
    const b = await connect(broker, 'b');
    const sent = [a, b, b].map(({ session }, i) => publishOf(session, '$SYS/x', `${i}`, 1));
    const late = sent.slice(2);
    cs.published = (batch) => {
      for (const answer of batch) {
        cs.answered.push(answer);
        if (late.length > 0) link.publish(late.splice(0));
      }
    };
    link.publish(sent.slice(0, 2));
    assert.deepEqual(cs.answered, sent);
  }));

test('a node that is gone leaves its sessions disconnected', () =>
  withBroker({}, async (broker) => {
    await connect(broker, 'a');
    await connect(broker, 'b', { sessionExpiryS: 0 });
    await broker.ds.link.detach(broker.cs.node);
    const { lines: clients } = await broker.ds.clients({
      after: null,
      clientsMax: 10,
      filter: {},
    });
    assert.deepEqual(
      clients.map((client) => [client.id, client.connection]),
      [['a', null]],
    );
  }));

test('what a session writes after it was displaced is ignored', () =>
  withBroker({}, async (broker) => {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't');
    const { queue } = subscription;
    broker.cs.onKick = (session) => void broker.link.disconnect(session, lost);
    const b = await connect(broker, 'a');
    let called = false;
    broker.link.write(
      [{ kind: 'position', session: a.session, queue, partition: 0, position: 7 }],
      () => {
        called = true;
      },
    );
    await durable(broker, [
      { kind: 'position', session: b.session, queue, partition: 0, position: 2 },
    ]);
    await broker.link.disconnect(b.session, left);
    const again = await connect(broker, 'a');
    assert.equal(called, false);
    assert.equal(again.answer.state.subscriptions[0]?.positions[0]?.position, 2);
  }));
