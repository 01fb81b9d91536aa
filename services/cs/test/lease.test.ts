import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeId, sessionHandle } from '@lmqtt/common/ids';
import { LinkLost } from '@lmqtt/proto/link-lost';
import { stored } from './queue-fixture.ts';
import { startNode, turns, until } from './node-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';

const subscribed = { subscriptions: [subscriptionState('t', 1, 1)], outbound: [], inbound: [] };

test('past the lease nothing leaves to a client with a session, and all of it afterwards', async (t) => {
  const { ds, clock, connect } = startNode(t);
  ds.states.set('s', subscribed);
  const client = await connect('s', { clean: false });
  const publisher = await connect('p');
  assert.deepEqual(client.took(), ['connack']);
  publisher.send({
    cmd: 'publish',
    topic: 'x',
    payload: 'x',
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
  });
  await turns();
  publisher.took();
  // The process was stopped, and woke up with an answer and a push.
  clock.ms = 1000;
  ds.answerPublishes();
  ds.node.push([stored('m', 1, [[1, 0, -1]])]);
  client.send({ cmd: 'pingreq' });
  await turns();
  assert.deepEqual([...client.took(), ...publisher.took()], []);
  ds.leaseEndsMs = 2000;
  ds.node.linkChanged();
  await turns();
  assert.deepEqual(client.took().toSorted(), ['pingresp', 'publish']);
  assert.deepEqual(publisher.took(), ['puback']);
});

test('a lease that was renewed without a word is seen with the next byte', async (t) => {
  const { ds, clock, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  clock.ms = 1000;
  client.send({ cmd: 'pingreq' });
  await turns();
  ds.leaseEndsMs = 2000;
  client.send({ cmd: 'pingreq' });
  await turns();
  assert.deepEqual(client.took(), ['pingresp', 'pingresp']);
});

for (const [version, code] of [
  [5, 0x88],
  [4, 3],
] as const) {
  test(`without a ds a CONNECT of version ${version} waits, and is refused with ${code} after CONNECT_WAIT_MS`, async (t) => {
    const { ds, node, clock, connect } = startNode(t, { connectWaitMs: 5000 });
    ds.up = false;
    clock.ms = 1000;
    const client = await connect('c', { protocolVersion: version });
    assert.deepEqual([client.closed, client.packets.length], [false, 0]);
    clock.ms = 7000;
    await turns();
    node.wheel.advance(clock.ms);
    await turns();
    const [connack] = client.packets;
    assert.equal(connack?.cmd, 'connack');
    assert.equal(version === 5 ? connack.reasonCode : connack.returnCode, code);
    assert.equal(client.closed, true);
    assert.equal(ds.connects.length, 0);
  });

  test(`a CONNECT of version ${version} that ds cannot answer any more is refused with ${code}`, async (t) => {
    const { ds, connect } = startNode(t);
    ds.answers = false;
    const client = await connect('c', { protocolVersion: version });
    ds.connects[0]?.reject(new Error('the lease ended'));
    await turns();
    const [connack] = client.packets;
    assert.equal(connack?.cmd, 'connack');
    assert.equal(version === 5 ? connack.reasonCode : connack.returnCode, code);
    assert.equal(client.closed, true);
  });
}

for (const missing of ['link', 'lease'] as const) {
  test(`a CONNECT that comes without a ${missing} is served when there is one, and ends with its connection`, async (t) => {
    const { ds, node, clock, connect } = startNode(t);
    if (missing === 'link') ds.up = false;
    else clock.ms = 1000;
    await turns();
    const client = await connect('c');
    const gone = await connect('gone');
    assert.equal(node.entrance.waitingCount, 2);
    assert.equal(client.paused, false);
    gone.lose();
    assert.equal(node.entrance.waitingCount, 1);
    ds.accept(2000);
    await turns();
    assert.deepEqual(client.took(), ['connack']);
    assert.equal(ds.disconnects.length, 0, 'ds never heard of the other');
  });
}

test('a CONNECT whose claim is lost with its ds is asked again, under another handle', async (t) => {
  const { ds, node, connect } = startNode(t);
  ds.answers = false;
  const client = await connect('c');
  const [lost] = ds.connects.splice(0);
  ds.up = false;
  lost?.reject(new LinkLost('no answer from ds within the lease'));
  await turns();
  // The claim of before may be told to go, which is not about the next one.
  node.kick(lost!.request.session, 0x8e);
  ds.answers = true;
  ds.accept(2000);
  await until(() => client.packets.length > 0);
  assert.deepEqual(client.took(), ['connack']);
  assert.equal(client.closed, false);
  assert.equal(node.connections.get(lost!.request.session), undefined);
});

test('a claim that is lost after another client took its session is not asked again', async (t) => {
  const { ds, node, connect } = startNode(t);
  ds.answers = false;
  const client = await connect('c');
  const [lost] = ds.connects.splice(0);
  node.kick(lost!.request.session, 0x8e);
  lost?.reject(new LinkLost('no answer from ds within the lease'));
  await turns();
  assert.equal(client.closed, true);
});

test('a client that sends while its node is frozen is read no further than the write buffer', async (t) => {
  const { ds, clock, connect } = startNode(t, { writeBufferMax: 1000 });
  const client = await connect('c');
  client.took();
  clock.ms = 1000;
  // Each is answered at once: nothing is kept under the identifier.
  for (let messageId = 1; messageId <= 400 && !client.paused; messageId++) {
    client.send({ cmd: 'pubrel', messageId });
    await turns(1);
  }
  assert.equal(client.paused, true);
  assert.deepEqual(client.took(), []);
  ds.leaseEndsMs = 2000;
  ds.node.linkChanged();
  await turns();
  const answers = client.took();
  assert.ok(answers.length > 100 && answers.length < 400, `${answers.length} answers`);
  assert.equal(client.paused, false);
});

test('a frozen node sends no QoS 0 later and keeps QoS 1 in its queue', async (t) => {
  const { ds, clock, counters, connect } = startNode(t);
  ds.states.set('s', subscribed);
  const client = await connect('s', { clean: false });
  client.took();
  clock.ms = 1000;
  client.send({ cmd: 'pingreq' });
  await turns();
  ds.node.push([stored('now or never', 0, [[1, -1, -1]])]);
  for (let n = 0; n < 5; n++) ds.node.push([stored(String(n), 1, [[1, n, n - 1]])]);
  await turns();
  assert.equal(counters.dropped.slow_client, 1);
  assert.deepEqual(client.took(), []);
  assert.equal(ds.writes.filter(({ kind }) => kind === 'sent').length, 0);
  ds.leaseEndsMs = 2000;
  ds.node.linkChanged();
  await turns();
  assert.equal(client.took().filter((cmd) => cmd === 'publish').length, 5);
});

test('publishers wait when too much waits for the store, and go on when it was answered', async (t) => {
  const { ds, clock, connect } = startNode(t);
  const client = await connect('c');
  ds.up = false;
  clock.ms = 1000;
  for (let messageId = 1; messageId <= 20 && !client.paused; messageId++) {
    const payload = Buffer.alloc(1000);
    client.send({
      cmd: 'publish',
      topic: 't',
      payload,
      qos: 1,
      messageId,
      dup: false,
      retain: false,
    });
    await turns(1);
  }
  assert.equal(client.paused, true);
  // Each counts with its topic and what it takes besides.
  assert.equal(ds.publishes.length, 8);
  clock.ms = 1500;
  ds.takeOver();
  ds.accept(3000);
  ds.answerPublishes();
  await turns();
  assert.equal(client.paused, false);
});

test('without a lease for DS_LOST_MS connections are closed with 0x89, others go on', async (t) => {
  const { ds, clock, node, connect } = startNode(t, { dsLostMs: 5000 });
  const client = await connect('c', { keepalive: 0 });
  const before = await connect('d', { keepalive: 0, protocolVersion: 4 });
  client.took();
  before.took();
  clock.ms = 1000;
  client.send({ cmd: 'pingreq' });
  clock.ms = 5900;
  await delay(1100);
  assert.equal(client.closed, false);
  clock.ms = 6000;
  ds.answers = false;
  await delay(1100);
  // Packets that waited for the client do not leave before it.
  assert.deepEqual(
    client.packets.map((packet) => packet.cmd === 'disconnect' && packet.reasonCode),
    [0x89],
  );
  assert.equal(client.closed, true);
  assert.deepEqual(before.took(), []);
  assert.equal(before.closed, true);
  assert.equal(node.connections.sessionCount, 0);
  // Their sessions are told to the next ds as ended.
  const presented = ds.takeOver();
  assert.deepEqual(
    presented.map(({ clientId, end }) => [clientId, end?.publishWill, end?.reason]),
    [
      ['c', true, 'dispatch node lost'],
      ['d', true, 'dispatch node lost'],
    ],
  );
});

test('a DISCONNECT of a client of a frozen node closes it and sends nothing', async (t) => {
  const { clock, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  clock.ms = 1000;
  client.send({ cmd: 'pingreq' });
  await turns();
  client.send({ cmd: 'disconnect' });
  await turns();
  assert.deepEqual(client.took(), []);
  assert.equal(client.closed, true);
});

test('a stop hands the sessions back by detaching, in time even where ds is away', async (t) => {
  const { ds, node, connect } = startNode(t);
  const client = await connect('c', { clean: false });
  ds.detaches = false;
  const startMs = performance.now();
  await node.stop(50);
  assert.ok(performance.now() - startMs < 30_000);
  assert.deepEqual(ds.detached, [nodeId('n')]);
  assert.equal(client.closed, true);
  assert.equal(ds.disconnects.length, 0);
  assert.deepEqual(
    client.packets.map(({ cmd }) => cmd),
    ['connack', 'disconnect'],
  );
  ds.node.kick(sessionHandle(1), 0x8e);
});
