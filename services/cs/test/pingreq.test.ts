import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startNode, turns } from './node-fixture.ts';
import type { FakeClient } from './node-fixture.ts';

function publishQos0(client: FakeClient, retain: boolean): void {
  client.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain });
}

void test('PINGRESP waits until ds has settled a retained message at QoS 0', async (t) => {
  const { ds, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  publishQos0(client, true);
  client.send({ cmd: 'pingreq' });
  await turns();
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
  const { ds, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  publishQos0(client, true);
  client.send({ cmd: 'pingreq' });
  await turns();
  ds.settles.shift()!.reject(new Error('the session is not known to any ds'));
  await turns();
  assert.deepEqual(client.took(), ['pingresp']);
});

void test('PINGRESP waits for no other message at QoS 0', async (t) => {
  const { ds, connect } = startNode(t);
  const client = await connect('c');
  client.took();
  publishQos0(client, false);
  client.send({ cmd: 'pingreq' });
  await turns();
  assert.deepEqual(client.took(), ['pingresp']);
  assert.deepEqual(ds.settles, []);
});
