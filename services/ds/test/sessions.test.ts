import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Broker,
  connect,
  durable,
  left,
  lost,
  publish,
  startBroker,
  subscribeTo,
  texts,
  until,
} from './fake-cs.ts';

async function withBroker(run: (broker: Broker) => Promise<Broker | void>): Promise<void> {
  const broker = await startBroker();
  let last = broker;
  try {
    last = (await run(broker)) ?? broker;
  } finally {
    await last.stop();
  }
}

test('a QoS 1 publish is stored, answered and pushed with its place', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't/+');
    assert.equal(subscription.positions[0]?.start, 0);
    assert.equal(await publish(broker, a.session, 't/1', 'one'), 0);
    await until(() => broker.cs.pushed.length === 1, 'the push');
    const [message] = broker.cs.pushed;
    assert.deepEqual(message?.entries, [
      { queue: subscription.queue, partition: 0, offset: 0, previous: -1 },
    ]);
    assert.equal(await publish(broker, a.session, 'u/1', 'two'), 0x10);
    const answer = await broker.link.read({
      queue: subscription.queue,
      partition: 0,
      from: 0,
      messagesMax: 10,
      bytesMax: 1000,
    });
    assert.deepEqual(texts(answer.messages), ['one']);
  }));

test('QoS 0 is pushed in the same call and not stored', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't');
    void publish(broker, a.session, 't', 'zero', 0);
    assert.deepEqual(texts(broker.cs.pushed), ['zero']);
    assert.equal(broker.cs.pushed[0]?.entries[0]?.offset, -1);
    const { queue } = subscription;
    const request = { queue, partition: 0, from: 0, messagesMax: 10, bytesMax: 1000 };
    assert.equal((await broker.link.read(request)).messages.length, 0);
  }));

test('subscriptions, positions, identifiers and messages outlive a restart', () =>
  withBroker(async (first) => {
    const a = await connect(first, 'a');
    const { subscription } = await subscribeTo(first, a.session, 't');
    const { queue } = subscription;
    for (const text of ['1', '2', '3', '4']) await publish(first, a.session, 't', text);
    const { session } = a;
    const place = (offset: number) => ({ kind: 'queue', queue, partition: 0, offset }) as const;
    const sent = (packetId: number, qos: 1 | 2) =>
      ({
        kind: 'sent',
        session,
        packetId,
        qos,
        sequence: packetId,
        place: place(packetId - 1),
        filter: 't',
      }) as const;
    await durable(first, [
      sent(1, 1),
      sent(2, 2),
      sent(3, 2),
      { kind: 'released', session, packetId: 2 },
      { kind: 'done', session, packetId: 3, failed: false },
    ]);
    assert.equal(await publish(first, session, 'x', 'in', 2, false, 77), 0x10);
    const broker = await first.crash();
    const again = await connect(broker, 'a');
    assert.equal(again.answer.sessionPresent, true);
    const { state } = again.answer;
    assert.deepEqual(state.inbound, [77]);
    assert.deepEqual(
      state.outbound.map(({ packetId, qos, state: step }) => [packetId, qos, step]),
      [
        [1, 1, 'sent'],
        [2, 2, 'released'],
      ],
    );
    const [stored] = state.subscriptions;
    assert.equal(stored?.queue, queue);
    assert.deepEqual(
      { ...stored.positions[0] },
      { partition: 0, start: 0, position: 0, done: [2] },
    );
    const answer = await broker.link.read({
      queue,
      partition: 0,
      from: 0,
      messagesMax: 10,
      bytesMax: 1000,
    });
    assert.deepEqual(texts(answer.messages), ['1', '2', '3', '4']);
    return broker;
  }));

test('a known inbound identifier is not stored again', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a');
    const { subscription } = await subscribeTo(broker, a.session, 't');
    assert.equal(await publish(broker, a.session, 't', 'once', 2, false, 9), 0);
    assert.equal(await publish(broker, a.session, 't', 'once', 2, false, 9), 0);
    await durable(broker, [{ kind: 'inbound-done', session: a.session, packetId: 9 }]);
    assert.equal(await publish(broker, a.session, 't', 'twice', 2, false, 9), 0);
    const { queue } = subscription;
    const request = { queue, partition: 0, from: 0, messagesMax: 10, bytesMax: 1000 };
    assert.deepEqual(texts((await broker.link.read(request)).messages), ['once', 'twice']);
  }));

test('a takeover waits for the displaced connection', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a');
    await subscribeTo(broker, a.session, 't');
    let flushed = false;
    broker.cs.onKick = (session) => {
      setTimeout(() => {
        flushed = true;
        void broker.link.disconnect(session, lost);
      }, 30);
    };
    const b = await connect(broker, 'a');
    assert.equal(flushed, true);
    assert.deepEqual(broker.cs.kicked, [{ session: a.session, reasonCode: 0x8e }]);
    assert.equal(b.answer.sessionPresent, true);
    assert.ok(b.answer.epoch > a.answer.epoch);
    assert.equal(b.answer.state.subscriptions.length, 1);
  }));

test('of many connections with one identifier one is left', () =>
  withBroker(async (broker) => {
    broker.cs.onKick = (session) => void broker.link.disconnect(session, lost);
    const all = await Promise.all(
      Array.from({ length: 20 }, () => connect(broker, 'same', { sessionExpiryS: 0 })),
    );
    assert.equal(
      (await broker.ds.clients({ after: null, clientsMax: 10, filter: {} })).lines.length,
      1,
    );
    assert.equal(broker.cs.kicked.length, all.length - 1);
  }));

test('clean start removes what was there', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a');
    await subscribeTo(broker, a.session, 't');
    await broker.link.disconnect(a.session, left);
    const b = await connect(broker, 'a', { cleanStart: true });
    assert.equal(b.answer.sessionPresent, false);
    assert.equal(b.answer.state.subscriptions.length, 0);
    assert.equal(await publish(broker, b.session, 't', 'nobody'), 0x10);
  }));

test('a connection that goes while it is being admitted leaves nothing', () =>
  withBroker(async (broker) => {
    const pending = connect(broker, 'a', { sessionExpiryS: 0 });
    const handle = await pending.then((one) => one.session);
    await broker.link.disconnect(handle, left);
    assert.equal(
      (await broker.ds.clients({ after: null, clientsMax: 10, filter: {} })).lines.length,
      0,
    );
  }));

test('a session expires, and what it held is let go', () =>
  withBroker(async (broker) => {
    const a = await connect(broker, 'a', { sessionExpiryS: 1 });
    await subscribeTo(broker, a.session, 't');
    const b = await connect(broker, 'b');
    await broker.link.disconnect(a.session, left);
    assert.equal(await publish(broker, b.session, 't', 'kept'), 0);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(await publish(broker, b.session, 't', 'nobody'), 0x10);
    const c = await connect(broker, 'a');
    assert.equal(c.answer.sessionPresent, false);
  }));
