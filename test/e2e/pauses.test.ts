// A broker that stood still for a while, as on a machine that slept: whoever has sent something
// meanwhile is heard before it is timed out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as packets from '../harness/packets.ts';
import { standaloneOnly } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';

const suite = new Suite();
const keepAliveS = 2;
const pauseMs = 6000;

const apart = standaloneOnly('such a pause is longer than the lease of a cs');
test('clients that pinged while the broker was stopped are not closed', apart, async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => suite.client({ keepAliveS })));
  const silent = await suite.client({ keepAliveS });
  const { pid } = suite.broker;
  process.kill(pid, 'SIGSTOP');
  try {
    for (const client of clients) client.send(packets.pingreq());
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  for (const client of clients) await client.expect('pingresp');
  await silent.expectClose();
  assert.ok(clients.every(({ closed }) => !closed));
});
