// Messages that wait for a ds that stands still are bounded by all that they hold, not by their
// payloads.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startCluster } from '../harness/cluster.ts';
import { collecting, heldBytes, holdsLess } from '../harness/held-memory.ts';
import * as packets from '../harness/packets.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const clientCount = 4;
const messageCount = 1000;
const propertyBytes = 250_000;
const limitBytes = 16 << 20;
/** Looks, each after 100 ms, at a client that is not read until it counts as held back. */
const looksMax = 30;
const grownBytesMax = 150 << 20;
const limit = 'lmqtt_limit_total{limit="pending_append_bytes_max"}';

void test('bytes in user properties count as those in payloads while ds stands still', async (t) => {
  const cluster = await startCluster({
    cs: 1,
    nodeArgs: collecting,
    settings: { LEASE_MS: '60000', PENDING_APPEND_BYTES_MAX: `${limitBytes}` },
  });
  let frozen = false;
  t.after(async () => {
    closeAllClients();
    if (frozen) cluster.ds.thaw();
    await cluster.stop();
  });
  const node = cluster.node(1);
  const clients = await Promise.all(
    Array.from({ length: clientCount }, () =>
      connected(node.port('mqtt'), { version: 5, clientId: unique('c') }),
    ),
  );
  const beforeBytes = await heldBytes(node);
  cluster.ds.freeze();
  frozen = true;
  const value = 'x'.repeat(62_500);
  const userProperties = Array.from(
    { length: propertyBytes / value.length },
    (): [string, string] => ['k', value],
  );
  const publish = (packetId: number): Buffer =>
    packets.publish({
      version: 5,
      topic: 't',
      payload: '',
      qos: 1,
      packetId,
      properties: { userProperties },
    });
  let sentBytes = 0;
  /** Whether the client was held back: by the limit, or sooner, since the link stands still. */
  const flood = async (client: (typeof clients)[number]): Promise<boolean> => {
    for (let count = 1; count <= messageCount; count += 1) {
      const packet = publish(count);
      sentBytes += packet.length;
      if (client.stream.write(packet)) continue;
      const drained = once(client.stream, 'drain').then(() => true);
      const late = (): Promise<boolean> =>
        new Promise((resolve) => setTimeout(() => resolve(false), 100));
      for (let looks = 0; !(await Promise.race([drained, late()])); looks += 1) {
        if (looks === looksMax || ((await node.metrics()).get(limit) ?? 0) > 0) return true;
      }
    }
    return false;
  };
  const held = await Promise.all(clients.map(flood));
  assert.ok(held.every(Boolean), `${sentBytes} bytes were read`);
  await holdsLess(node, beforeBytes + grownBytesMax);
  cluster.ds.thaw();
  frozen = false;
  // All of it is taken, and acknowledged, when ds goes on.
  await Promise.all(clients.map((client) => client.expect('puback')));
});
