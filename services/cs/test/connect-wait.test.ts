import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClient, startNode, turns } from './node-fixture.ts';

const tickMs = 250;

/** Lets the wheel come round; the clock is moved by the test. */
async function wheelTurned(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2 * tickMs));
}

test('CONNECT_TIMEOUT_MS ends when CONNECT has come, CONNECT_WAIT_MS begins: then 0x89', async (t) => {
  const { ds, clock, connect } = startNode(t, { connectTimeoutMs: 1000, connectWaitMs: 5000 });
  ds.answers = false;
  const [five, four] = [await connect('5'), await connect('4', { protocolVersion: 4 })];
  clock.ms = 3000;
  await wheelTurned();
  assert.deepEqual([five.closed, four.closed], [false, false]);
  clock.ms = 6000;
  await wheelTurned();
  const codes = [five, four].map(({ packets }) =>
    packets.map((packet) => packet.cmd === 'connack' && (packet.reasonCode ?? packet.returnCode)),
  );
  assert.deepEqual(codes, [[0x89], [3]]);
  assert.deepEqual([five.closed, four.closed], [true, true]);
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

test('without a CONNECT a connection is closed after CONNECT_TIMEOUT_MS', async (t) => {
  const { node, clock } = startNode(t, { connectTimeoutMs: 1000 });
  const silent = new FakeClient(5);
  node.connections.accept(silent);
  clock.ms = 2000;
  await wheelTurned();
  assert.equal(silent.closed, true);
});
