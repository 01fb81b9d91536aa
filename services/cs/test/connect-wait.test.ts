import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClient, startNode, turns, until } from './node-fixture.ts';

test('CONNECT_TIMEOUT_MS ends when CONNECT has come, CONNECT_WAIT_MS begins: then 0x89', async (t) => {
  const { ds, node, clock, connect } = startNode(t, {
    connectTimeoutMs: 1000,
    connectWaitMs: 5000,
  });
  ds.leaseEndsMs = 1_000_000;
  ds.answers = false;
  const [five, four] = [await connect('5'), await connect('4', { protocolVersion: 4 })];
  const silent = new FakeClient(5);
  node.connections.accept(silent);
  clock.ms = 3000;
  node.wheel.advance(clock.ms);
  clock.ms = 4000;
  await until(() => silent.closed);
  assert.deepEqual([five.closed, four.closed], [false, false]);
  clock.ms = 6000;
  await until(() => five.closed && four.closed);
  const codes = [five, four].map(({ packets }) =>
    packets.map((packet) => packet.cmd === 'connack' && (packet.reasonCode ?? packet.returnCode)),
  );
  assert.deepEqual(codes, [[0x89], [3]]);
  // ds hears of it, so that it leaves their checks out.
  assert.equal(ds.disconnects.length, 2);
});

test('ds hears at once of a connection that is lost before its answer, and once', async (t) => {
  const { ds, connect } = startNode(t);
  ds.answers = false;
  const client = await connect('c');
  client.lose();
  assert.equal(ds.disconnects.length, 1);
  ds.connects[0]!.resolve({ kind: 'refused', reasonCode: 0x89, reason: 'gone' });
  await turns();
  assert.equal(ds.disconnects.length, 1);
});

test('ds hears nothing more of a CONNECT that it refused', async (t) => {
  const { ds, connect } = startNode(t);
  ds.answers = false;
  const client = await connect('c');
  ds.connects[0]!.resolve({ kind: 'refused', reasonCode: 0x86, reason: 'no' });
  await turns();
  client.lose();
  assert.equal(ds.disconnects.length, 0);
});

test('without a CONNECT it is closed after CONNECT_TIMEOUT_MS, once what has come was read', async (t) => {
  const { ds, node, clock } = startNode(t, { connectTimeoutMs: 1000 });
  ds.leaseEndsMs = 1_000_000;
  const [silent, late] = [new FakeClient(5), new FakeClient(5)];
  node.connections.accept(silent);
  node.connections.accept(late);
  // The process stood still: what the second has sent is read after its time.
  clock.ms = 2000;
  node.wheel.advance(clock.ms);
  assert.deepEqual([silent.closed, late.closed], [false, false]);
  late.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: 'late',
    clean: true,
  });
  await turns();
  clock.ms = 3000;
  await until(() => silent.closed);
  assert.deepEqual(late.took(), ['connack']);
});
