// Sessions that live on in the nodes while ds is away are adopted where they were.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueueId, SessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Will } from '@lmqtt/proto/link';
import type { OutboundState, SubscriptionState } from '@lmqtt/proto/session-state';
import {
  type Attached,
  durable,
  left,
  lost,
  pause,
  publish,
  publishOf,
  subscribeTo,
  texts,
  until,
} from './fake-cs.ts';
import { leaseMs, Node, SplitDs, subscribed } from './fake-nodes.ts';

async function withSplit(run: (split: SplitDs) => Promise<SplitDs>): Promise<void> {
  let split = await SplitDs.start();
  try {
    split = await run(split);
  } finally {
    await split.stop();
  }
}

const clean = { sessionExpiryS: 0 };

async function stored(node: Attached, queue: QueueId, from = 0): Promise<string[]> {
  const request = { queue, partition: 0, from, messagesMax: 1000, bytesMax: 1_000_000 };
  return texts((await node.link.read(request)).messages);
}

function atPosition(subscription: SubscriptionState, position: number, done: number[] = []) {
  return { ...subscription, positions: [{ partition: 0, start: 0, position, done }] };
}

function inQueue(queue: QueueId, packetId: number, offset: number, qos: 1 | 2): OutboundState {
  const place = { kind: 'queue', queue, partition: 0, offset } as const;
  return { packetId, qos, state: 'sent', sequence: packetId, place, filter: 't' };
}

function will(text: string, delayS = 0): Will {
  const message = messageOf({
    topic: 'will',
    qos: 1,
    retain: false,
    payload: Buffer.from(text),
  });
  return { message, delayS, messageExpiryS: undefined };
}

test('nothing is known: open for business at once', () =>
  withSplit(async (split) => {
    await split.ds.gathered;
    return split;
  }));

test('what was acknowledged before a kill reaches clean sessions after it, in order', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const b = await Node.attach(first, 'b');
    const subscriber = await a.connect('subscriber', clean);
    const { subscription } = await subscribeTo(a, subscriber.session, 't/+');
    const publisher = await b.connect('publisher', clean);
    for (let n = 0; n < 20; n += 1) await publish(b, publisher.session, 't/1', `${n}`);
    a.cs.pushed.length = 0;

    const split = await first.kill();
    let open = false;
    void split.ds.gathered.then(() => (open = true));
    const bPresents = b.present(split, [b.presented(publisher)]);
    await pause(100);
    assert.equal(open, false);
    const state = subscribed([atPosition(subscription, 5, [7])]);
    await Promise.all([a.present(split, [a.presented(subscriber, state)]), bPresents]);
    assert.deepEqual([...a.refusals, ...b.refusals], []);
    await split.ds.gathered;

    // All of it can be read, and the node is told how far the queue has come.
    const { queue } = subscription;
    await until(() => a.cs.ends.length > 0, 'the end of the queue');
    assert.deepEqual(a.cs.ends, [{ queue, partition: 0, end: 20 }]);
    assert.deepEqual(
      await stored(a, queue, 5),
      Array.from({ length: 15 }, (_, n) => `${n + 5}`),
    );
    // It goes on where it was, and nobody trims what is not done.
    assert.equal(await publish(b, publisher.session, 't/2', 'next'), 0);
    await until(() => a.cs.pushed.length === 1, 'the push');
    assert.deepEqual(a.cs.pushed[0]?.entries, [{ queue, partition: 0, offset: 20, previous: 19 }]);
    await pause(700);
    assert.equal((await stored(a, queue, 5)).length, 16);
    const { session } = subscriber;
    await durable(a, [{ kind: 'position', session, queue, partition: 0, position: 21 }]);
    assert.deepEqual(await a.link.unsubscribe(session, ['t/+']), [0]);
    assert.equal(await publish(b, publisher.session, 't/1', 'nobody'), 0x10);
    assert.equal(split.ds.sessionCount, 2);
    return split;
  }));

test('a second kill while sessions are gathered loses nothing', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const b = await Node.attach(first, 'b');
    const one = await a.connect('one', clean);
    const { subscription } = await subscribeTo(a, one.session, 't');
    const two = await b.connect('two', clean);
    await publish(b, two.session, 't', 'kept');
    const second = await first.kill();
    void b.present(second, [b.presented(two)]);
    await pause(50);
    const split = await second.kill();
    const state = subscribed([atPosition(subscription, 0)]);
    await Promise.all([
      a.present(split, [a.presented(one, state)]),
      b.present(split, [b.presented(two)]),
    ]);
    assert.deepEqual([...a.refusals, ...b.refusals], []);
    assert.deepEqual(await stored(a, subscription.queue), ['kept']);
    return split;
  }));

test('a stored session is brought to what its node says of it', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const held = await a.connect('p', { keepAliveS: 30 });
    const { session } = held;
    const { subscription } = await subscribeTo(a, session, 't');
    const { queue } = subscription;
    for (let n = 0; n < 10; n += 1) await publish(a, session, 't', `${n}`);
    for (const id of [71, 72, 73]) await publish(a, session, 'x', 'in', 2, false, id);
    const sent = (entry: OutboundState) => ({ kind: 'sent', session, ...entry }) as const;
    await durable(
      a,
      [1, 2, 3, 4].map((id) => sent(inQueue(queue, id, id - 1, 2))),
    );

    const split = await first.kill();
    const released = { ...inQueue(queue, 3, 2, 2), state: 'released' } as const;
    await a.present(split, [
      a.presented(held, {
        state: {
          // 1 and 4 are done with; 2 stands for another message by now; 5 was never stored.
          subscriptions: [{ ...atPosition(subscription, 1, [1, 3, 6]), retainedAfter: undefined }],
          outbound: [inQueue(queue, 2, 4, 2), released, inQueue(queue, 5, 5, 1)],
          inbound: [71],
        },
        storing: [72],
      }),
    ]);
    const { lines } = await split.ds.clients({ after: null, clientsMax: 10, filter: {} });
    const [line] = lines;
    assert.equal(line?.connection?.keepAliveS, 30);
    assert.equal(line.connection.connectedAtMs, held.answer.epoch);
    assert.equal(line.inFlight, 3);
    assert.equal(await publish(a, session, 't', 'ten'), 0);

    // As whoever comes next sees it, after another kill.
    const again = await split.kill();
    const b = await Node.attach(again, 'b');
    const { answer } = await b.connect('p');
    assert.equal(answer.sessionPresent, true);
    const { state } = answer;
    assert.deepEqual(
      state.outbound.map(({ packetId, qos, state: step }) => [packetId, qos, step]),
      [
        [2, 2, 'sent'],
        [3, 2, 'released'],
        [5, 1, 'sent'],
      ],
    );
    const [known] = state.subscriptions;
    assert.deepEqual(
      { ...known?.positions[0] },
      { partition: 0, start: 0, position: 2, done: [3, 6] },
    );
    assert.equal(known?.retainedAfter, undefined);
    assert.deepEqual(state.inbound, [71, 72]);
    return again;
  }));

test('QoS 2 from a clean session is stored once, over a kill', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const held = await a.connect('a', clean);
    const { session } = held;
    const { subscription } = await subscribeTo(a, session, 't');
    const { queue } = subscription;
    for (const id of [1, 2, 3]) await publish(a, session, 't', `${id}`, 2, false, id);
    await durable(a, [{ kind: 'inbound-done', session, packetId: 1 }]);
    const split = await first.kill();
    const whole = a.presented(held, {
      state: { subscriptions: [atPosition(subscription, 0)], outbound: [], inbound: [2] },
      // The answer to 3 has not come, and 4 may be on its way.
      storing: [3, 4],
    });
    await a.present(split, [whole]);
    for (const id of [2, 3, 4]) await publish(a, session, 't', `${id}`, 2, false, id);
    // Free, so it is another message.
    await publish(a, session, 't', 'one again', 2, false, 1);
    assert.deepEqual(await stored(a, queue), ['1', '2', '3', '4', 'one again']);
    return split;
  }));

test('groups go on: what is in flight stays, what waits is given once', () =>
  withSplit(async (first) => {
    const filter = '$share/g/t';
    const a = await Node.attach(first, 'a');
    const b = await Node.attach(first, 'b');
    const one = await a.connect('one', clean);
    const two = await b.connect('two');
    const subscriptions: SubscriptionState[] = [];
    for (const [node, { session }] of [[a, one] as const, [b, two] as const]) {
      subscriptions.push((await subscribeTo(node, session, filter)).subscription);
      node.link.credit(session, 2);
    }
    const publisher = await b.connect('publisher', clean);
    for (let n = 0; n < 8; n += 1) await publish(b, publisher.session, 't', `${n}`, 2);
    await until(() => a.cs.assigned.length + b.cs.assigned.length === 4, 'the assignments');
    const outbound = (node: Node, qos: 1 | 2): OutboundState[] =>
      node.cs.assigned.map(({ group, queue, partition, offset }, index) => {
        const place = { kind: 'group', group, queue, partition, offset } as const;
        return { packetId: index + 1, qos, state: 'sent', sequence: index + 1, place, filter };
      });
    const ofOne = outbound(a, 2);
    const ofTwo = outbound(b, 1);
    const write = (node: Node, session: SessionHandle, all: OutboundState[]) =>
      durable(
        node,
        all.map((entry) => ({ kind: 'sent', session, ...entry }) as const),
      );
    await write(a, one.session, ofOne);
    await write(b, two.session, ofTwo);
    const before = texts([...a.cs.assigned, ...b.cs.assigned].map(({ message }) => message));
    a.cs.assigned.length = 0;
    b.cs.assigned.length = 0;

    const split = await first.kill();
    const [subscription] = subscriptions;
    assert.ok(subscription !== undefined);
    const state = { subscriptions: [subscription], inbound: [] };
    const sessionsOfB = [
      // Its first message is done with, which nobody was told.
      b.presented(two, { state: { ...state, outbound: ofTwo.slice(1) } }),
      b.presented(publisher),
    ];
    // B first: nothing of it may be taken back while A is not known.
    const bPresents = b.present(split, sessionsOfB);
    await pause(50);
    await a.present(split, [a.presented(one, { state: { ...state, outbound: ofOne } })]);
    await bPresents;
    assert.deepEqual([...a.refusals, ...b.refusals], []);
    await pause(100);
    assert.equal(a.cs.assigned.length + b.cs.assigned.length, 0);
    a.link.credit(one.session, 1);
    b.link.credit(two.session, 3);
    await until(() => a.cs.assigned.length + b.cs.assigned.length === 4, 'the rest');
    await pause(50);
    const after = texts([...a.cs.assigned, ...b.cs.assigned].map(({ message }) => message));
    assert.deepEqual([...before, ...after].toSorted(), ['0', '1', '2', '3', '4', '5', '6', '7']);
    assert.equal(a.cs.assigned.length, 1);
    // QoS 2 of a clean session that ends goes to nobody else; what was not sent does.
    b.link.credit(two.session, 10);
    await a.link.disconnect(one.session, lost);
    await until(() => b.cs.assigned.length === 4, 'what was taken back');
    await pause(50);
    assert.equal(b.cs.assigned.length, 4);
    return split;
  }));

test('wills: of sessions that go on they wait, of a node that is gone they go out once', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const gone = await Node.attach(first, 'gone');
    const watcher = await a.connect('watcher');
    const { subscription } = await subscribeTo(a, watcher.session, 'will');
    const stays = await a.connect('stays', { ...clean, will: will('stays') });
    const kept = await a.connect('kept', { will: will('kept') });
    const ends = await a.connect('ends', { ...clean, will: will('ends') });
    await gone.connect('clean', { ...clean, will: will('clean') });
    await gone.connect('persistent', { will: will('persistent') });
    await gone.connect('patient', { will: will('patient', 100) });
    gone.pause();

    const split = await first.kill();
    const startedMs = performance.now();
    await a.present(split, [
      a.presented(watcher, subscribed([atPosition(subscription, 0)])),
      a.presented(stays),
      a.presented(kept),
      a.presented(ends, { end: lost }),
    ]);
    assert.ok(performance.now() - startedMs > 2 * leaseMs - 50);
    assert.deepEqual(a.refusals, []);
    const { queue } = subscription;
    const sent = async (): Promise<string[]> => (await stored(a, queue)).toSorted();
    for (let tries = 0; (await sent()).length < 3 && tries < 100; tries += 1) await pause(20);
    await pause(500);
    assert.deepEqual(await sent(), ['clean', 'ends', 'persistent']);
    await a.link.disconnect(stays.session, lost);
    await a.link.disconnect(kept.session, left);
    await pause(500);
    assert.deepEqual(await sent(), ['clean', 'ends', 'persistent', 'stays']);
    assert.equal(await split.ds.client('clean' as never), null);
    // Its node is judged: what it presents now is refused as a whole.
    const late = gone.presented([...gone.held.values()][0]!);
    await gone.present(split, [late]);
    assert.deepEqual(gone.refusals, [{ session: late.session, reasonCode: 0x89 }]);
    return split;
  }));

test('a planned stop of ds ends nothing', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const held = await a.connect('a', { ...clean, will: will('never') });
    const { subscription } = await subscribeTo(a, held.session, 'will');
    const split = await first.restart();
    await a.present(split, [a.presented(held, subscribed([atPosition(subscription, 0)]))]);
    assert.deepEqual(a.refusals, []);
    await pause(400);
    assert.deepEqual(await stored(a, subscription.queue), []);
    return split;
  }));

test('a session that was claimed meanwhile, or has ended, is refused', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const b = await Node.attach(first, 'b');
    a.cs.onKick = (session) => void a.link.disconnect(session, lost);
    const stale = await a.connect('moved');
    const moved = await b.connect('moved');
    const absent = await a.connect('absent');
    await a.link.disconnect(absent.session, lost);
    const old = await a.connect('clean', clean);
    const now = await b.connect('clean', clean);
    const split = await first.kill();
    const aPresents = a.present(
      split,
      [stale, absent, old].map((held) => a.presented(held)),
    );
    await b.present(
      split,
      [moved, now].map((held) => b.presented(held)),
    );
    await aPresents;
    assert.deepEqual(b.refusals, []);
    assert.deepEqual(
      a.refusals.map(({ session, reasonCode }) => [session, reasonCode]),
      [
        [stale.session, 0x8e],
        [absent.session, 0x89],
        [old.session, 0x8e],
      ],
    );
    assert.equal(
      (await split.ds.clients({ after: null, clientsMax: 10, filter: {} })).lines.filter(
        (one) => one.connection,
      ).length,
      2,
    );
    assert.equal(await publish(b, now.session, 't', 'x'), 0x10);
    return split;
  }));

test('queues that nobody holds any more are dropped, those of clean sessions are not', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const gone = await Node.attach(first, 'gone');
    const here = await a.connect('here', clean);
    const away = await gone.connect('away', clean);
    const kept = (await subscribeTo(a, here.session, 'kept')).subscription;
    const dropped = (await subscribeTo(gone, away.session, 'dropped')).subscription;
    await publish(a, here.session, 'kept', 'x');
    await publish(a, here.session, 'dropped', 'y');
    gone.pause();
    const split = await first.kill();
    await a.present(split, [a.presented(here, subscribed([atPosition(kept, 0)]))]);
    assert.deepEqual(await stored(a, kept.queue), ['x']);
    assert.deepEqual(await stored(a, dropped.queue), []);
    assert.equal(await publish(a, here.session, 'dropped', 'z'), 0x10);
    // Another generation has another id.
    const again = (await subscribeTo(a, here.session, 'dropped')).subscription;
    assert.notEqual(again.queue, dropped.queue);
    return split;
  }));

test('another process of a node says that the old one is dead, but its lease counts', () =>
  withSplit(async (first) => {
    const old = await Node.attach(first, 'a');
    const held = await old.connect('p', { will: will('gone') });
    old.pause();
    const split = await first.kill();
    const startedMs = performance.now();
    const node = await Node.attach(split, 'a', 'a 2');
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs > leaseMs - 50 && tookMs < 20 * leaseMs, `${tookMs}`);
    const watcher = await node.connect('watcher');
    await subscribeTo(node, watcher.session, 'will');
    const again = await node.connect('p');
    assert.equal(again.answer.sessionPresent, true);
    assert.ok(again.answer.epoch > held.answer.epoch);
    await assert.rejects(old.present(split, []), { name: 'NodeIdInUse' });
    return split;
  }));

test('publishes that waited are stored once at QoS 2, and their session goes on in order', () =>
  withSplit(async (first) => {
    const a = await Node.attach(first, 'a');
    const held = await a.connect('a');
    const { session } = held;
    const { subscription } = await subscribeTo(a, session, 't');
    // Handed over in the moment of the kill: nobody knows which were stored.
    const batch = Array.from({ length: 50 }, (_, n) => n + 1);
    for (const id of batch) a.link.publish([publishOf(session, 't', `${id}`, 2, false, id)]);
    await until(() => a.cs.answered.length > 10, 'some answers');
    const answered = a.cs.answered.map((one) => one.packetId);
    const split = await first.kill();
    const storing = batch.filter((id) => !answered.includes(id));
    const inbound = answered;
    const subscriptions = [atPosition(subscription, 0)];
    const state = { subscriptions, outbound: [], inbound };
    await a.present(split, [a.presented(held, { state, storing })]);
    for (const id of storing) await publish(a, session, 't', `${id}`, 2, false, id);
    assert.deepEqual(
      await stored(a, subscription.queue),
      batch.map((id) => `${id}`),
    );
    return split;
  }));
