import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupId, queueId, sessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Place, PresentedSession } from '@lmqtt/proto/link';
import { startNode, turns } from './node-fixture.ts';
import type { FakeClient } from './node-fixture.ts';
import { stored } from './queue-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';
import type { ScriptedDs } from './scripted-ds.ts';

function place(queue: number, offset: number): Place {
  return { kind: 'queue', queue: queueId(queue), partition: 0, offset };
}

function groupPlace(offset: number): Place {
  return { kind: 'group', group: groupId(7), queue: queueId(9), partition: 0, offset };
}

/** Messages of one queue, from offset 0 on. */
function messagesOf(queue: number, texts: readonly string[], topic = 't'): Message[] {
  return texts.map((text, n) => stored(text, 2, [[queue, n, n - 1]], topic));
}

function assign(ds: ScriptedDs, offset: number, session = 1, qos: 0 | 1 | 2 = 1): void {
  const message = stored(String(offset), qos, [[9, offset, offset - 1]]);
  ds.node.assign([
    {
      session: sessionHandle(session),
      group: groupId(7),
      filter: '$share/g/t',
      queue: queueId(9),
      partition: 0,
      offset,
      message,
    },
  ]);
}

const shared = subscriptionState('$share/g/t', 9, 2, { group: 7 });

function only(presented: readonly PresentedSession[]): PresentedSession {
  assert.equal(presented.length, 1);
  return presented[0]!;
}

function publishIds(client: FakeClient): number[] {
  return client.packets.flatMap((packet) =>
    packet.cmd === 'publish' ? [packet.messageId ?? 0] : [],
  );
}

function texts(client: FakeClient): string[] {
  return client.packets.flatMap((packet) =>
    packet.cmd === 'publish' ? [packet.payload.toString()] : [],
  );
}

test('who a client is: as it connected and as ds granted it; one still connecting is not told', async (t) => {
  const { ds, connect } = startNode(t);
  ds.sessionExpiryS = 50;
  await connect('a', {
    clean: false,
    username: 'u',
    keepalive: 17,
    properties: { sessionExpiryInterval: 100 },
  });
  ds.answers = false;
  await connect('b');
  const presented = only(ds.takeOver());
  assert.deepEqual(presented, {
    session: 1,
    clientId: 'a',
    epoch: 1,
    protocolVersion: 5,
    keepAliveS: 17,
    peer: { address: '192.0.2.1', port: 4711, tls: false },
    principal: 'u',
    authenticationMethod: undefined,
    sessionExpiryS: 50,
    state: { subscriptions: [], outbound: [], inbound: [] },
    storing: [],
    end: undefined,
  });
});

test('a stored session: positions, what is done above them, and all that is in flight', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0', '1', '2', '3', '4', '5']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 2, { position: 1, done: [2] })],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c', {
    clean: false,
    properties: { receiveMaximum: 3, sessionExpiryInterval: 60 },
  });
  ds.stored();
  await turns();
  const ids = publishIds(client);
  assert.deepEqual(texts(client), ['1', '3', '4']);
  // The second is released, the third done with, and the next waits to be stored.
  for (const messageId of ids.slice(1)) client.send({ cmd: 'pubrec', messageId });
  await turns();
  ds.stored();
  await turns();
  client.send({ cmd: 'pubcomp', messageId: ids[2]! });
  await turns();
  const { state } = only(ds.takeOver());
  assert.deepEqual(state, {
    subscriptions: [subscriptionState('t', 1, 2, { position: 1, done: [2, 4] })],
    outbound: [
      { packetId: ids[0], qos: 2, state: 'sent', sequence: 1, place: place(1, 1), filter: 't' },
      { packetId: ids[1], qos: 2, state: 'released', sequence: 2, place: place(1, 3), filter: 't' },
      { packetId: 4, qos: 2, state: 'sent', sequence: 4, place: place(1, 5), filter: 't' },
    ],
    inbound: [],
  });
});

test('a PUBREC whose release is being stored is presented as released', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 2)],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c', { clean: false, properties: { sessionExpiryInterval: 60 } });
  ds.stored();
  await turns();
  client.send({ cmd: 'pubrec', messageId: publishIds(client)[0]! });
  await turns();
  const { state } = only(ds.takeOver());
  assert.deepEqual(
    state.outbound.map((each) => each.state),
    ['released'],
  );
});

test('what the redelivery has not come to is presented as it was stored', async (t) => {
  const { ds, connect } = startNode(t);
  const outbound = [
    { packetId: 9, qos: 1, state: 'sent', sequence: 3, place: place(1, 2), filter: 't' },
    { packetId: 5, qos: 2, state: 'released', sequence: 4, place: place(1, 3), filter: 't' },
  ] as const;
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 2, { position: 1, done: [1] })],
    outbound: [...outbound],
    inbound: [3],
  });
  ds.messages = messagesOf(1, ['0', '1', '2', '3']);
  const read = ds.read.bind(ds);
  ds.read = (request) => {
    ds.answers = false;
    const answer = read(request);
    ds.answers = true;
    return answer;
  };
  const client = await connect('c', { clean: false, properties: { sessionExpiryInterval: 60 } });
  assert.deepEqual(client.took(), ['connack']);
  const { state } = only(ds.takeOver());
  assert.deepEqual(state.outbound, outbound);
  assert.deepEqual(state.inbound, [3]);
  assert.deepEqual(state.subscriptions[0]?.positions, [
    { partition: 0, start: 0, position: 2, done: [] },
  ]);
  // The read is rejected; nothing is lost, and the order stays.
  ds.read = read;
  ds.accept(5000);
  await new Promise((resolve) => setTimeout(resolve, 80));
  await turns();
  assert.deepEqual(client.took(), ['publish', 'pubrel']);
});

test('a session that ends with its connection: positions, and what groups count', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0', '1']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1), shared],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c');
  assign(ds, 4);
  await turns();
  const ids = publishIds(client);
  assert.equal(ids.length, 3);
  client.send({ cmd: 'puback', messageId: ids[1]! });
  await turns();
  const { state, sessionExpiryS } = only(ds.takeOver());
  assert.equal(sessionExpiryS, 0);
  assert.deepEqual(state.subscriptions, [
    subscriptionState('t', 1, 1, { position: 0, done: [1] }),
    shared,
  ]);
  assert.deepEqual(state.outbound, [
    {
      packetId: ids[2],
      qos: 1,
      state: 'sent',
      sequence: 3,
      place: groupPlace(4),
      filter: '$share/g/t',
    },
  ]);
});

test('inbound identifiers: being stored, stored, and released by the client', async (t) => {
  const { ds, connect } = startNode(t);
  const client = await connect('c');
  for (const messageId of [1, 2, 3]) {
    client.send({
      cmd: 'publish',
      topic: 'x',
      payload: 'x',
      qos: 2,
      messageId,
      dup: false,
      retain: false,
    });
    if (messageId === 3) continue;
    await turns();
    ds.answerPublishes();
  }
  client.send({ cmd: 'pubrel', messageId: 2 });
  // Nothing of it has left this turn: what was gathered goes first.
  assert.equal(ds.publishes.length, 0);
  const { state, storing } = only(ds.takeOver());
  assert.deepEqual({ inbound: state.inbound, storing }, { inbound: [1], storing: [3] });
  assert.equal(ds.publishes.length, 1);
  assert.equal(ds.writes.at(-1)?.kind, 'inbound-done');
});

test('retained messages are owed from after the last that was sent', async (t) => {
  const { ds, connect } = startNode(t);
  ds.retained = ['a', 'b', 'c', 'd', 'e'].map((topic, n) => {
    const message = stored(topic, 1, [], topic);
    message.orderKey = { placement: 0, offset: n };
    return message;
  });
  ds.retainedPageMax = 3;
  ds.states.set('c', {
    subscriptions: [subscriptionState('+', 1, 1, { retainedAfter: '' })],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c', {
    clean: false,
    properties: { receiveMaximum: 1, sessionExpiryInterval: 60 },
  });
  const after: (string | undefined)[] = [];
  for (let step = 0; step < 6; step++) {
    const [messageId] = publishIds(client);
    client.packets = [];
    const presented = only(ds.takeOver());
    ds.accept(5000);
    after.push(presented.state.subscriptions[0]?.retainedAfter);
    assert.equal(presented.state.outbound.length, messageId === undefined ? 0 : 1);
    if (messageId !== undefined) client.send({ cmd: 'puback', messageId });
    await turns();
  }
  // The last is in flight: nothing is owed but its acknowledgement.
  assert.deepEqual(after, ['a', 'b', 'c', 'd', undefined, undefined]);
});

test('a page of retained messages that is rejected is asked for again', async (t) => {
  const { ds, connect } = startNode(t);
  const message = stored('m', 0, [], 'a');
  ds.retained = [message];
  ds.states.set('c', {
    subscriptions: [subscriptionState('+', 1, 1, { retainedAfter: '' })],
    outbound: [],
    inbound: [],
  });
  const readRetained = ds.readRetained.bind(ds);
  let rejections = 0;
  ds.readRetained = (request) => {
    rejections += 1;
    if (rejections > 2) return readRetained(request);
    return Promise.reject(new Error('another ds'));
  };
  const client = await connect('c');
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(client.took(), ['connack', 'publish']);
});

test('a session whose end ds has not confirmed is presented with its end, then no more', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1)],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c', { clean: false, properties: { sessionExpiryInterval: 60 } });
  ds.answers = false;
  client.lose();
  await turns();
  const presented = only(ds.takeOver());
  assert.deepEqual(presented.end, {
    publishWill: true,
    sessionExpiryS: undefined,
    reason: 'connection lost',
  });
  assert.deepEqual(
    presented.state.outbound.map((each) => each.place),
    [place(1, 0)],
  );
  assert.equal(presented.state.subscriptions[0]?.positions[0]?.position, 0);
  ds.accept(5000);
  assert.equal(ds.takeOver().length, 1);
  ds.disconnects[0]?.resolve();
  await turns();
  assert.deepEqual(ds.takeOver(), []);
});

test('in one process nothing of an ended session is kept', async (t) => {
  const { ds, connect } = startNode(t);
  ds.leaseEndsMs = Number.POSITIVE_INFINITY;
  const client = await connect('c');
  ds.answers = false;
  client.lose();
  await turns();
  assert.deepEqual(ds.takeOver(), []);
  ds.leaseEndsMs = 0;
});

test('refused sessions are closed with their reason, without what waited for them', async (t) => {
  const { ds, clock, connect } = startNode(t);
  const refused = await connect('r');
  const old = await connect('o', { protocolVersion: 4 });
  const kept = await connect('k');
  for (const client of [refused, old, kept]) {
    client.took();
    client.send({
      cmd: 'publish',
      topic: 'x',
      payload: 'x',
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false,
    });
  }
  await turns();
  clock.ms = 2000;
  ds.answerPublishes();
  await turns();
  ds.takeOver();
  ds.accept(5000, [
    { session: sessionHandle(1), reasonCode: 0x8e },
    { session: sessionHandle(2), reasonCode: 0x89 },
  ]);
  await turns();
  assert.deepEqual(
    refused.packets.map((packet) => packet.cmd === 'disconnect' && packet.reasonCode),
    [0x8e],
  );
  assert.deepEqual(old.took(), []);
  assert.deepEqual([refused.closed, old.closed, kept.closed], [true, true, false]);
  assert.deepEqual(kept.took(), ['puback']);
  assert.equal(only(ds.takeOver()).clientId, 'k');
});

test('what was stored while there was no ds is read from the new one', async (t) => {
  const { ds, connect } = startNode(t);
  const all = messagesOf(1, ['0', '1', '2']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1)],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c');
  client.took();
  ds.takeOver();
  ds.messages = all;
  ds.accept(5000);
  await turns();
  assert.deepEqual(texts(client), ['0', '1', '2']);
});

test('a read that the change of ds rejects is made again', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0']);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1)],
    outbound: [],
    inbound: [],
  });
  const read = ds.read.bind(ds);
  ds.read = (request) => {
    ds.answers = false;
    const answer = read(request);
    ds.answers = true;
    return answer;
  };
  const client = await connect('c');
  assert.equal(ds.reads.length, 1);
  ds.takeOver();
  ds.read = read;
  ds.accept(5000);
  await turns();
  assert.deepEqual(texts(client), ['0']);
});

test('after a dropped push what lies below the end is read', async (t) => {
  const { ds, connect } = startNode(t);
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1)],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c');
  ds.messages = messagesOf(1, ['0', '1', '2']);
  ds.node.push([ds.messages[0]!]);
  ds.node.behind([
    { queue: queueId(1), partition: 0, end: 3 },
    { queue: queueId(2), partition: 0, end: 8 },
  ]);
  await turns();
  assert.deepEqual(texts(client), ['0', '1', '2']);
  // A push that comes late changes nothing.
  ds.node.push([ds.messages[1]!]);
  await turns();
  assert.equal(texts(client).length, 3);
});

test('credit is a running total; with another ds it begins again', async (t) => {
  const { ds, connect } = startNode(t);
  ds.states.set('c', { subscriptions: [shared], outbound: [], inbound: [] });
  const client = await connect('c', { properties: { receiveMaximum: 2 } });
  const totals = (): number[] => ds.credits.splice(0).map(([, total]) => total);
  assert.deepEqual(totals(), [2]);
  assign(ds, 0);
  assign(ds, 1);
  await turns();
  // As many are out as it takes: the total has not grown.
  assert.deepEqual(totals(), []);
  const [first, second] = publishIds(client);
  client.send({ cmd: 'puback', messageId: first! });
  await turns();
  assert.deepEqual(totals(), [3]);
  assign(ds, -1, 1, 0);
  await turns();
  assert.deepEqual(totals(), []);
  client.send({ cmd: 'puback', messageId: second! });
  await turns();
  assert.deepEqual(totals(), [4]);
  assign(ds, 2);
  await turns();
  const { state } = only(ds.takeOver());
  assert.equal(state.outbound.length, 1);
  ds.accept(5000);
  await turns();
  assert.deepEqual(totals(), [1]);
  ds.takeOver();
  ds.accept(5000);
  await turns();
  assert.deepEqual(totals(), [1]);
});

test('messages of a group that did not go out are dropped when the session is presented', async (t) => {
  const { ds, clock, connect } = startNode(t);
  ds.states.set('c', { subscriptions: [shared], outbound: [], inbound: [] });
  const client = await connect('c', { properties: { receiveMaximum: 5 } });
  client.took();
  clock.ms = 2000;
  client.send({ cmd: 'pingreq' });
  await turns();
  assign(ds, 0);
  assign(ds, 1);
  await turns();
  ds.credits.length = 0;
  const { state } = only(ds.takeOver());
  assert.deepEqual(state.outbound, []);
  ds.accept(5000);
  await turns();
  assert.deepEqual(client.took(), ['pingresp']);
  assert.deepEqual(ds.credits, [[1, 5]]);
  assign(ds, 0);
  await turns();
  assert.deepEqual(client.took(), ['publish']);
});

test('a message done above the position stays done through any number of presentations', async (t) => {
  const { ds, connect } = startNode(t);
  ds.messages = messagesOf(1, ['0', '1', '2']);
  const subscription = subscriptionState('t', 1, 2, { done: [1] });
  ds.states.set('c', { subscriptions: [subscription], outbound: [], inbound: [] });
  const client = await connect('c', { clean: false, properties: { sessionExpiryInterval: 60 } });
  ds.stored();
  await turns();
  assert.deepEqual(texts(client), ['0', '2']);
  assert.deepEqual(only(ds.takeOver()).state.subscriptions, [subscription]);
  ds.accept(5000);
  await turns();
  assert.deepEqual(only(ds.takeOver()).state.subscriptions, [subscription]);
  const [first] = publishIds(client);
  client.send({ cmd: 'pubrec', messageId: first! });
  await turns();
  ds.stored();
  client.send({ cmd: 'pubcomp', messageId: first! });
  await turns();
  assert.deepEqual(only(ds.takeOver()).state.subscriptions, [
    subscriptionState('t', 1, 2, { position: 2 }),
  ]);
});
