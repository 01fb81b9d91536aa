import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startNode, turns } from './node-fixture.ts';
import type { FakeClient } from './node-fixture.ts';
import type { ScriptedDs } from './scripted-ds.ts';

/** A client that has published at QoS 0, and asks. */
async function asking(
  t: TestContext,
  retain: boolean,
): Promise<{ ds: ScriptedDs; client: FakeClient }> {
  const { ds, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  client.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain });
  client.send({ cmd: 'pingreq' });
  await turns();
  return { ds, client };
}

void test('PINGRESP waits until ds has settled a retained message at QoS 0', async (t) => {
  const { ds, client } = await asking(t, true);
  assert.deepEqual(client.took(), []);
  assert.equal(ds.publishes.length, 1, 'the question follows the message');
  ds.settles.shift()!.resolve();
  await turns();
  assert.deepEqual(client.took(), ['pingresp']);
  client.send({ cmd: 'pingreq' });
  await turns();
  assert.deepEqual(client.took(), ['pingresp'], 'nothing was sent since');
});

void test('PINGRESP comes where ds cannot say it', async (t) => {
  const { ds, client } = await asking(t, true);
  ds.settles.shift()!.reject(new Error('the session is not known to any ds'));
  await turns();
  assert.deepEqual(client.took(), ['pingresp']);
});

void test('PINGRESP waits for no other message at QoS 0', async (t) => {
  const { ds, client } = await asking(t, false);
  assert.deepEqual(client.took(), ['pingresp']);
  assert.deepEqual(ds.settles, []);
});
