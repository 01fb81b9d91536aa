// Keep alive counts what a client has sent, also what lies unread because of this node.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SubscribeAnswer } from '@lmqtt/proto/link';
import { startNode, turns } from './node-fixture.ts';

/** More requests than may wait for ds. */
const requests = 100;

test('a client is not timed out while it is not read, nor before it is read again', async (t) => {
  const { ds, node, clock, connect } = startNode(t);
  ds.leaseEndsMs = 1_000_000;
  let answer: () => void = () => {};
  const answered = new Promise<SubscribeAnswer[]>((resolve) => {
    answer = () => resolve([{ kind: 'refused', reasonCode: 0x80 }]);
  });
  ds.subscribe = () => answered;
  const client = await connect('a', { keepalive: 1 });
  for (let messageId = 1; messageId <= requests; messageId += 1)
    client.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic: 'a', qos: 0 }] });
  assert.ok(client.paused);

  async function passed(ms: number): Promise<void> {
    await turns();
    clock.ms = ms;
    node.wheel.advance(ms);
    await turns();
  }
  await passed(100_000);
  assert.ok(!client.closed, 'closed while it is not read');
  clock.ms = 101_000;
  answer();
  await turns();
  assert.ok(!client.paused);
  await passed(102_400);
  assert.ok(!client.closed, 'closed before it was read');
  await passed(104_000);
  assert.ok(client.closed, 'a silent client stays');
});
