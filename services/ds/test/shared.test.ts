import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { Assignment } from '@lmqtt/proto/assignment';
import type { SessionWrite } from '@lmqtt/proto/link';
import {
  type Broker,
  connect,
  durable,
  left,
  lost,
  pause,
  publish,
  startBroker,
  subscribeTo,
  until,
} from './fake-cs.ts';

const filter = '$share/g/t';
const quickRetries = { 'retry-interval-ms': 100 };

async function withBroker(
  run: (broker: Broker) => Promise<Broker | void>,
  settings: Record<string, string | number> = {},
): Promise<void> {
  const broker = await startBroker(settings);
  let last = broker;
  try {
    last = (await run(broker)) ?? broker;
  } finally {
    await last.stop();
  }
}

async function member(
  broker: Broker,
  id: string,
  credit: number,
  sessionExpiryS = 3600,
): Promise<SessionHandle> {
  const { session } = await connect(broker, id, { sessionExpiryS });
  await subscribeTo(broker, session, filter);
  broker.link.credit(session, credit);
  return session;
}

function given(broker: Broker, session: SessionHandle): string[] {
  return broker.cs.assigned
    .filter((one) => one.session === session)
    .map((one) => one.message.payload.toString());
}

function sentOf(assignment: Assignment, packetId: number, qos: 1 | 2): SessionWrite {
  const { session, group, queue, partition, offset } = assignment;
  return {
    kind: 'sent',
    session,
    packetId,
    qos,
    sequence: packetId,
    place: { kind: 'group', group, queue, partition, offset },
    filter,
  };
}

test('each message goes to one member, by what is in flight', () =>
  withBroker(async (broker) => {
    const a = await member(broker, 'a', 100);
    const b = await member(broker, 'b', 100);
    const publisher = await connect(broker, 'p');
    for (let i = 0; i < 10; i += 1) await publish(broker, publisher.session, 't', `${i}`);
    await until(() => broker.cs.assigned.length === 10, 'the assignments');
    assert.equal(given(broker, a).length, 5);
    assert.equal(given(broker, b).length, 5);
    assert.equal(broker.cs.pushed.length, 0);
  }));

test('what nobody has room for waits, in order', () =>
  withBroker(async (broker) => {
    const a = await member(broker, 'a', 2);
    const publisher = await connect(broker, 'p');
    for (let i = 0; i < 6; i += 1) await publish(broker, publisher.session, 't', `${i}`);
    await pause(50);
    assert.deepEqual(given(broker, a), ['0', '1']);
    broker.link.credit(a, 5);
    await until(() => given(broker, a).length === 5, 'more');
    // A total that was overtaken takes nothing back.
    broker.link.credit(a, 3);
    broker.link.credit(a, 12);
    await until(() => given(broker, a).length === 6, 'the rest');
    assert.deepEqual(given(broker, a), ['0', '1', '2', '3', '4', '5']);
  }));

test('QoS 1 of a lost member goes to the others, QoS 2 stays with its session', () =>
  withBroker(async (broker) => {
    const a = await member(broker, 'a', 3);
    const publisher = await connect(broker, 'p');
    for (const text of ['one', 'two', 'unsent'])
      await publish(broker, publisher.session, 't', text, 2);
    await until(() => given(broker, a).length === 3, 'the assignments');
    const [first, second] = broker.cs.assigned;
    await durable(broker, [sentOf(first!, 1, 1), sentOf(second!, 2, 2)]);
    const b = await member(broker, 'b', 10);
    await broker.link.disconnect(a, lost);
    await until(() => given(broker, b).length === 2, 'what was taken back');
    assert.deepEqual(given(broker, b), ['one', 'unsent']);
    const again = await connect(broker, 'a');
    assert.deepEqual(
      again.answer.state.outbound.map((one) => one.packetId),
      [2],
    );
  }));

test('QoS 2 of a session that ended goes to nobody else', () =>
  withBroker(async (broker) => {
    const a = await member(broker, 'a', 2, 0);
    const publisher = await connect(broker, 'p');
    await publish(broker, publisher.session, 't', 'mine', 2);
    await publish(broker, publisher.session, 't', 'unsent', 2);
    await until(() => given(broker, a).length === 2, 'the assignments');
    await durable(broker, [sentOf(broker.cs.assigned[0]!, 1, 2)]);
    const b = await member(broker, 'b', 10);
    await broker.link.disconnect(a, lost);
    await until(() => given(broker, b).length === 1, 'what was taken back');
    await pause(50);
    assert.deepEqual(given(broker, b), ['unsent']);
  }));

test('QoS 2 of a clean session goes to nobody else after a crash either', () =>
  withBroker(async (first) => {
    const a = await member(first, 'a', 1, 0);
    await member(first, 'keeper', 0);
    const publisher = await connect(first, 'p');
    for (const text of ['mine', 'next']) await publish(first, publisher.session, 't', text, 2);
    await until(() => given(first, a).length === 1, 'the assignment');
    await durable(first, [sentOf(first.cs.assigned[0]!, 1, 2)]);
    const broker = await first.crash();
    const b = await member(broker, 'b', 10);
    await until(() => given(broker, b).length === 1, 'the rest');
    await pause(50);
    assert.deepEqual(given(broker, b), ['next']);
    return broker;
  }));

test('a last member that is persistent finds its messages, also after a restart', () =>
  withBroker(async (first) => {
    const a = await member(first, 'a', 2);
    const publisher = await connect(first, 'p');
    for (let i = 0; i < 5; i += 1) await publish(first, publisher.session, 't', `${i}`);
    await until(() => given(first, a).length === 2, 'the assignments');
    const [zero, one] = first.cs.assigned;
    await durable(first, [
      sentOf(zero!, 1, 1),
      sentOf(one!, 2, 1),
      { kind: 'done', session: a, packetId: 1, failed: false },
    ]);
    const broker = await first.crash();
    const again = await connect(broker, 'a');
    assert.deepEqual(
      again.answer.state.outbound.map((state) => state.packetId),
      [2],
    );
    assert.equal(again.answer.state.subscriptions[0]?.filter, filter);
    broker.link.credit(again.session, 100);
    await until(() => given(broker, again.session).length === 3, 'the rest');
    assert.deepEqual(given(broker, again.session), ['2', '3', '4']);
    return broker;
  }));

test('a group ends with its last member', () =>
  withBroker(async (broker) => {
    const a = await member(broker, 'a', 2, 0);
    const publisher = await connect(broker, 'p');
    assert.equal(await publish(broker, publisher.session, 't', 'x'), 0);
    await broker.link.unsubscribe(a, [filter]);
    assert.equal(await publish(broker, publisher.session, 't', 'x'), 0x10);
    await broker.link.disconnect(a, left);
  }));

test('QoS 0 goes to one member', () =>
  withBroker(async (broker) => {
    await member(broker, 'a', 10);
    await member(broker, 'b', 10);
    const publisher = await connect(broker, 'p');
    for (let i = 0; i < 4; i += 1) await publish(broker, publisher.session, 't', `${i}`, 0);
    assert.equal(broker.cs.assigned.length, 4);
    assert.equal(new Set(broker.cs.assigned.map((one) => one.session)).size, 2);
    assert.equal(broker.cs.assigned[0]?.offset, -1);
  }));

test('members come and go, and each message is done once', () =>
  withBroker(async (broker) => {
    const done = new Set<string>();
    let packetId = 0;
    broker.cs.onAssign = (assignment) => {
      packetId += 1;
      const id = packetId;
      queueMicrotask(() => {
        const { session } = assignment;
        broker.link.write([sentOf(assignment, id, 1)]);
        if (id % 3 === 0) return; // never acknowledged
        broker.link.write([{ kind: 'done', session, packetId: id, failed: false }]);
        done.add(assignment.message.payload.toString());
        broker.link.credit(session, given(broker, session).length + 5);
      });
    };
    const publisher = await connect(broker, 'p');
    await member(broker, 'keeper', 0);
    for (let round = 0; round < 10; round += 1) {
      const session = await member(broker, `m${round}`, 5, 0);
      for (let i = 0; i < 20; i += 1)
        await publish(broker, publisher.session, 't', `${round * 20 + i}`);
      await broker.link.disconnect(session, lost);
    }
    // Messages that were lost again and again wait.
    for (let round = 0; round < 1500 && done.size < 200; round += 1) {
      const session = await member(broker, `n${round}`, 5, 0);
      await pause(20);
      await broker.link.disconnect(session, lost);
    }
    assert.equal(done.size, 200);
  }, quickRetries));

test('a message that ends its members waits while others go out, and is given up', () =>
  withBroker(
    async (broker) => {
      let packetId = 0;
      const got: string[] = [];
      broker.cs.onAssign = (assignment) => {
        packetId += 1;
        const id = packetId;
        const text = assignment.message.payload.toString();
        got.push(text);
        queueMicrotask(() => {
          const { session } = assignment;
          broker.link.write([sentOf(assignment, id, 1)]);
          if (text === 'poison') void broker.link.disconnect(session, lost);
          else broker.link.write([{ kind: 'done', session, packetId: id, failed: false }]);
        });
      };
      const publisher = await connect(broker, 'p');
      await member(broker, 'keeper', 0);
      await publish(broker, publisher.session, 't', 'poison');
      const letters = () => broker.ds.deadLetters.list(undefined, 10);
      for (let round = 0; (await letters()).length === 0; round += 1) {
        assert.ok(round < 1500, 'it is not given up');
        await member(broker, `m${round}`, 100, 0);
        await pause(20);
      }
      await publish(broker, publisher.session, 't', 'fine');
      await member(broker, 'last', 100, 0);
      await until(() => got.includes('fine'), 'the other message');
      assert.equal(got.filter((text) => text === 'poison').length, 4);
      const [letter] = await letters();
      assert.equal(letter?.entry.reason, 'unacknowledged');
      assert.equal(letter?.entry.attempts, 4);
      assert.equal(letter?.entry.message.payload.toString(), 'poison');
    },
    { 'max-retry-time': 4, 'retry-interval-ms': 100 },
  ));
