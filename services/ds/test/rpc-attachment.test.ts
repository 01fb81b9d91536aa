import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { clientId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { calls } from '@lmqtt/proto/calls';
import type { ConnectRequest } from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import { writeRead, writeWrites } from '@lmqtt/proto/wire/upstream';
import { left, pause, plain, publishOf, texts, until } from './fake-cs.ts';
import { type RpcDs, startRpcDs } from './rpc-ds.ts';
import { RpcPeer } from './rpc-peer.ts';

async function withDs(
  settings: Record<string, string | number>,
  run: (broker: RpcDs) => Promise<RpcDs | void>,
): Promise<void> {
  const broker = await startRpcDs(settings);
  let last = broker;
  try {
    last = (await run(broker)) ?? broker;
  } finally {
    await last.stop();
  }
}

let lastHandle = 0;

async function connect(
  peer: RpcPeer,
  id: string,
  request: Partial<ConnectRequest> = {},
): Promise<SessionHandle> {
  lastHandle += 1;
  const session = sessionHandle(lastHandle);
  const answer = await peer.call(calls.connect, {
    session,
    protocolVersion: 5,
    clientId: clientId(id),
    cleanStart: false,
    sessionExpiryS: 3600,
    keepAliveS: 0,
    userName: undefined,
    password: undefined,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: undefined,
    peer: { address: '127.0.0.1', port: 1, tls: false },
    ...request,
  });
  assert.equal(answer.kind, 'accepted');
  return session;
}

async function subscribe(
  peer: RpcPeer,
  session: SessionHandle,
  filter: string,
): Promise<SubscriptionState> {
  const subscriptions = [{ filter, options: plain }];
  const [answer] = await peer.call(calls.subscribe, { session, subscriptions });
  assert.ok(answer?.kind === 'granted');
  return answer.subscription;
}

/** While it runs, its lease goes on. */
async function renewing<T>(peer: RpcPeer, run: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => peer.renew(), 100);
  try {
    return await run();
  } finally {
    clearInterval(timer);
  }
}

test('a publish is answered when it is durable, and pushed with its place', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const session = await connect(peer, 'a');
    const { queue, positions } = await subscribe(peer, session, 't/+');
    assert.deepEqual(positions, [{ partition: 0, start: 0, position: 0, done: [] }]);
    const first = peer.publish([
      publishOf(session, 't/1', 'one'),
      publishOf(session, 't/1', 'zero', 0),
      publishOf(session, 'u/1', 'two', 2),
    ]);
    await until(() => peer.answered[first + 1] !== undefined, 'the answers');
    assert.deepEqual(peer.answered.slice(first), [0, ReasonCode.noMatchingSubscribers]);
    await until(() => peer.pushed.length === 2, 'the pushes');
    const stored = peer.pushed.find((message) => message.qos === 1);
    assert.equal(stored?.payload.toString(), 'one');
    assert.deepEqual(peer.echoed, [first], 'only its places come back to the cs that sent it');
    assert.deepEqual(stored?.entries, [{ queue, partition: 0, offset: 0, previous: -1 }]);
    writeRead(peer.exchange, 900, {
      queue,
      partition: 0,
      from: 0,
      messagesMax: 10,
      bytesMax: 1 << 20,
    });
    await until(() => peer.reads.length === 1, 'a read');
    assert.deepEqual(texts(peer.reads[0]?.messages ?? []), ['one']);
    assert.equal(peer.reads[0]?.messages[0]?.publisher, 'a');
    assert.equal(peer.reads[0]?.end, 1);
    assert.deepEqual(await peer.call(calls.unsubscribe, { session, filters: ['t/+', 'x'] }), [
      0,
      ReasonCode.noSubscriptionExisted,
    ]);
    await peer.call(calls.disconnect, { session, end: left });
    peer.cut();
  }));

test('QoS 0 is answered only where it is refused', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const session = await connect(peer, 'a');
    peer.publish([publishOf(session, '$SYS/x', '', 0), publishOf(session, 't', '', 0)]);
    const first = peer.publish([publishOf(session, 't', '')]);
    await until(() => peer.answered[first] !== undefined, 'the answer');
    assert.deepEqual(peer.refusedQos0, [ReasonCode.notAuthorized]);
    peer.cut();
  }));

test('writes are named when they are durable, or when nobody knows their session', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const session = await connect(peer, 'a');
    const { queue } = await subscribe(peer, session, 't');
    const write = { kind: 'position', session, queue, partition: 0, position: 0 } as const;
    writeWrites(peer.exchange, 1, [write]);
    writeWrites(peer.exchange, 0, [write]);
    writeWrites(peer.exchange, 2, [{ ...write, session: sessionHandle(999_999) }]);
    writeWrites(peer.exchange, 3, [write]);
    await until(() => peer.durableWrites.length === 2, 'the durable writes');
    assert.deepEqual(peer.durableWrites, [1, 3]);
    assert.deepEqual(peer.fencedWrites, [2]);
    peer.cut();
  }));

test('a call that cannot be read fails, and only that call', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    await assert.rejects(peer.rawCall(calls.subscribe.method, Buffer.from('ffff', 'hex')));
    await connect(peer, 'a');
    peer.cut();
  }));

test('Renew is answered, and tells the figures of the node', () =>
  withDs({}, async (broker) => {
    const a = await RpcPeer.attached({ port: broker.port, node: 'a' });
    const b = await RpcPeer.attached({ port: broker.port, node: 'b' });
    const number = a.renew({ 'messages/received': 3, x: 0.5 }, 7);
    b.renew({ 'messages/received': 4 }, 1);
    await until(() => a.renewedNumbers.includes(number), 'the answer');
    await until(() => b.renewedNumbers.length === 1, 'the answer');
    assert.deepEqual(broker.rpc.counters(), { 'messages/received': 7, x: 0.5 });
    const nodes = broker.rpc.nodes().map(({ node, connections }) => [node, connections]);
    assert.deepEqual(nodes, [
      ['a', 7],
      ['b', 1],
    ]);
    a.cut();
    b.cut();
  }));

test('over streams that break nothing is lost, doubled or out of order', () =>
  withDs({ 'lease-ms': 3000 }, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    await renewing(peer, async () => {
      const session = await connect(peer, 'a');
      await subscribe(peer, session, 't');
      const { welcome } = peer;
      const sent: string[] = [];
      for (let round = 0; round < 12; round += 1) {
        const batch = Array.from({ length: 200 }, (_, index) => {
          sent.push(`${round} ${index}`);
          return publishOf(session, 't', `${round} ${index}`);
        });
        peer.publish(batch);
        // Frames are on their way in both directions, at another stage each time.
        if (round % 3 === 1) await pause(round);
        // Frames that come meanwhile are lost.
        peer.deaf = round % 2 === 0;
        if (round % 3 === 2) await pause(5);
        peer.cut();
        peer.deaf = false;
        await peer.open();
        assert.equal(peer.welcome?.resumed, true);
        assert.equal(peer.welcome.attachment, welcome?.attachment);
      }
      await until(() => peer.pushed.length >= sent.length, 'the pushes');
      await until(() => peer.answered.length > sent.length, 'the answers');
      assert.deepEqual(texts(peer.pushed), sent);
      assert.deepEqual(
        peer.answered.slice(1),
        sent.map(() => 0),
      );
    });
    peer.cut();
  }));

test('a call that a broken stream cut off is answered over the next', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    peer.deaf = true;
    const connected = connect(peer, 'a');
    await pause(50);
    peer.cut();
    peer.deaf = false;
    await peer.open();
    const session = await connected;
    await peer.call(calls.disconnect, { session, end: left });
    peer.cut();
  }));

test('a new stream ends the one before', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const end = peer.beside();
    await until(() => peer.ended !== undefined, 'the end of the first stream');
    assert.equal(peer.ended?.code, status.ABORTED);
    assert.equal(broker.rpc.nodes().length, 1);
    await peer.open();
    assert.equal(peer.welcome?.resumed, true);
    end();
    await connect(peer, 'a');
    peer.cut();
  }));

test('a lease that is judged ends stream, attachment and sessions; nothing of it counts', () =>
  withDs({ 'lease-ms': 600 }, async (broker) => {
    const lost = await RpcPeer.attached({ port: broker.port, node: 'lost' });
    const peer = await RpcPeer.attached({ port: broker.port, node: 'other' });
    await renewing(peer, async () => {
      const session = await connect(lost, 'a');
      await subscribe(lost, session, 't');
      await until(() => lost.ended !== undefined, 'the end of its stream');
      assert.deepEqual(lost.ended, {
        code: status.ABORTED,
        detail: 'the lease of this node has ended',
      });
      // Its items go nowhere, those on their way included.
      lost.publish([publishOf(session, 't', 'too late')]);
      const before = lost.welcome;
      await lost.open();
      assert.equal(lost.welcome?.resumed, false);
      assert.notEqual(lost.welcome?.attachment, before?.attachment);
      lost.cut();
      const again = await connect(peer, 'a');
      const { queue } = await subscribe(peer, again, 't');
      writeRead(peer.exchange, 900, {
        queue,
        partition: 0,
        from: 0,
        messagesMax: 10,
        bytesMax: 1000,
      });
      await until(() => peer.reads.length === 1, 'a read');
      assert.deepEqual(peer.reads[0]?.messages, []);
      assert.deepEqual(
        broker.rpc.nodes().map(({ node }) => node),
        ['other'],
      );
    });
    peer.cut();
  }));

test('a node that leaves is answered, and its name is free at once', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    await connect(peer, 'a');
    await peer.call(calls.leave, { goesOn: false });
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.equal(peer.ended?.code, status.OK);
    const next = await RpcPeer.attached({ port: broker.port });
    assert.equal(broker.rpc.nodes().length, 1);
    next.cut();
  }));

test('a frame that is missing breaks the stream, and the next one brings it', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const session = await connect(peer, 'a');
    peer.losing = 1;
    const first = peer.publish([publishOf(session, 't', 'one')]);
    await pause(10);
    peer.publish([publishOf(session, 't', 'two')]);
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.deepEqual(peer.ended, { code: status.ABORTED, detail: 'a frame is missing' });
    await peer.open();
    assert.equal(peer.welcome?.resumed, true);
    await until(() => peer.answered[first + 1] !== undefined, 'the answers');
    assert.equal(peer.answered.length, first + 2);
    peer.cut();
  }));

test('garbage ends its stream alone, and what was attached goes on', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port, node: 'a' });
    const other = await RpcPeer.attached({ port: broker.port, node: 'b' });
    const session = await connect(peer, 'a');
    peer.sendRaw(Buffer.from('3affffff', 'hex'));
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.equal(peer.ended?.code, status.INVALID_ARGUMENT);
    assert.equal(broker.lines.filter((line) => line.includes('garbage')).length, 1);
    await peer.open();
    assert.equal(peer.welcome?.resumed, true);
    await peer.call(calls.disconnect, { session, end: left });
    await connect(other, 'b');
    assert.equal(other.ended, undefined);
    peer.cut();
    other.cut();
  }));

test('anything but sessions before they were presented is a mistake', () =>
  withDs({}, async (broker) => {
    const peer = new RpcPeer({ port: broker.port });
    await peer.open();
    peer.publish([publishOf(sessionHandle(1), 't', '')]);
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.equal(peer.ended?.code, status.INVALID_ARGUMENT);
    const next = await RpcPeer.attached({ port: broker.port });
    next.cut();
    peer.cut();
  }));

test('pushes that find no room are dropped, and the ends of their queues are told', () =>
  withDs({ 'link-buffer-bytes-max': '64k', 'link-window-frames': 2, 'lease-ms': 5000 }, (broker) =>
    slowNode(broker),
  ));

async function slowNode(broker: RpcDs): Promise<void> {
  const slow = await RpcPeer.attached({ port: broker.port, node: 'slow' });
  const peer = await RpcPeer.attached({ port: broker.port, node: 'other' });
  const { queue } = await subscribe(slow, await connect(slow, 'a'), 't');
  const publisher = await connect(peer, 'b');
  slow.deaf = true;
  const payload = 'x'.repeat(10_000);
  const count = 60;
  let last = 0;
  for (let index = 0; index < count; index += 1) {
    last = peer.publish([
      publishOf(publisher, 't', payload),
      publishOf(publisher, 't', payload, 0),
    ]);
    await until(() => peer.answered[last] !== undefined, 'the answer');
  }
  slow.cut();
  slow.deaf = false;
  await slow.open();
  await until(() => slow.ends.length > 0, 'the ends of the queues');
  assert.deepEqual(slow.ends, [{ queue, partition: 0, end: count }]);
  const stored = slow.pushed.filter(({ qos }) => qos === 1).length;
  assert.ok(stored > 0 && stored < count, `${stored} of ${count}`);
  const metrics = await broker.metrics();
  const dropped = /lmqtt_rpc_pushes_dropped_total\{kind="stored"\} (\d+)/.exec(metrics);
  assert.equal(Number(dropped?.[1]), count - stored);
  assert.match(metrics, /lmqtt_rpc_pushes_dropped_total\{kind="not stored"\} [1-9]/);
  // From here on it is a node like any other.
  last = peer.publish([publishOf(publisher, 't', 'after')]);
  await until(() => slow.pushed.at(-1)?.payload.toString() === 'after', 'the push');
  assert.equal(slow.pushed.at(-1)?.entries[0]?.previous, count - 1);
  slow.cut();
  peer.cut();
}

test('a planned stop sends nodes to the next ds, which they know by presenting', () =>
  withDs({}, async (broker) => {
    const peer = await RpcPeer.attached({ port: broker.port });
    const before = peer.welcome;
    const stopped = broker.restart();
    await until(() => peer.ended !== undefined, 'the end of the stream');
    assert.deepEqual(peer.ended, { code: status.UNAVAILABLE, detail: 'ds is stopping' });
    const next = await stopped;
    peer.refusals = undefined;
    await peer.attach();
    assert.equal(peer.welcome?.resumed, false);
    assert.notEqual(peer.welcome?.attachment, before?.attachment);
    peer.cut();
    return next;
  }));
