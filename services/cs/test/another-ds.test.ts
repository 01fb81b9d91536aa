import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueId, sessionHandle } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import { startNode, turns } from './node-fixture.ts';
import { messagesOf, assign, shared, only, publishIds, texts } from './presented-fixture.ts';
import { stored } from './queue-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

/** Properties of a message with one user property. */
function userProperty(name: string, value: string): Buffer {
  const text = (from: string): Buffer => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(from.length);
    return Buffer.concat([length, Buffer.from(from)]);
  };
  return Buffer.concat([Buffer.from([0x26]), text(name), text(value)]);
}

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

test('a receipt waits for the answer of ds, of which its client hears nothing', async (t) => {
  const { ds, connect } = startNode(t);
  const properties = userProperty('lmqtt-receipt', 'receipts');
  const asking = messageOf({ topic: 't', qos: 1, retain: false, payload: properties, properties });
  asking.entries = [{ queue: queueId(1), partition: 0, offset: 0, previous: -1 }];
  ds.messages = [asking];
  ds.states.set('c', {
    subscriptions: [subscriptionState('t', 1, 1)],
    outbound: [],
    inbound: [],
  });
  const client = await connect('c');
  const [packetId] = publishIds(client);
  client.took();
  client.send({ cmd: 'puback', messageId: packetId! });
  await turns();
  assert.equal(ds.publishes.length, 1);
  const { message } = ds.publishes[0]!;
  assert.deepEqual([message.topic, message.qos], ['$lmqtt/receipt', 1]);
  ds.answerPublishes();
  await turns();
  assert.deepEqual([client.took(), client.closed], [[], false]);
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
