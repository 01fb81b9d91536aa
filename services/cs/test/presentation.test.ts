import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startNode, turns } from './node-fixture.ts';
import {
  place,
  groupPlace,
  messagesOf,
  assign,
  shared,
  only,
  publishIds,
  texts,
} from './presented-fixture.ts';
import { stored } from './queue-fixture.ts';
import { principalOf, subscriptionState } from './scripted-ds.ts';

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
    principal: principalOf('u'),
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
