// CONNECTs that come while their cs has no ds, or no lease: they wait for the next one and get in.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { connect } from '../harness/packets.ts';
import { closeAllClients, connectRaw, type RawClient, unique } from '../harness/wire.ts';

/** Time limit of one wait; a busy machine takes ten times as long as it needs. */
const patienceMs = 60_000;
const leaseMs = 1000;
const waiting = 'lmqtt_connections_pending{state="waiting"}';

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Some clients of every cs and version, whose CONNECT has been sent. */
async function come(cluster: Cluster, stem: string): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const node of cluster.cs) {
    for (const version of [3, 4, 5] as const) {
      for (const clean of [true, false]) {
        const client = await connectRaw(node.port('mqtt'), { version });
        const clientId = `${stem}-${node.name}-${version}-${String(clean)}`;
        client.send(connect({ version, clientId, clean }));
        clients.push(client);
      }
    }
  }
  return clients;
}

async function waitingAt(cluster: Cluster): Promise<number> {
  const counts = await Promise.all(cluster.cs.map((node) => node.metrics()));
  return counts.reduce((sum, metrics) => sum + (metrics.get(waiting) ?? 0), 0);
}

async function welcomed(clients: readonly RawClient[]): Promise<void> {
  for (const client of clients) {
    await client.expect('connack', { reason: 0 }, patienceMs);
    await client.ping();
  }
}

void describe('a CONNECT without a ds waits for the next lease', () => {
  after(closeAllClients);

  void test('ds is killed: who comes waits for the next ds; who leaves is forgotten', async (t) => {
    const cluster = await startCluster({ settings: { LEASE_MS: String(leaseMs) } });
    t.after(() => cluster.stop());
    await cluster.ds.kill();
    const stem = unique('waits');
    const clients = await come(cluster, stem);
    const gone = await come(cluster, `${stem}-gone`);
    await until('all wait', async () => (await waitingAt(cluster)) === 24);
    for (const client of gone) client.destroy();
    await until('who leaves waits no more', async () => (await waitingAt(cluster)) === 12);
    // The lease has ended long ago for those who come now.
    const late = await come(cluster, `${stem}-late`);
    await cluster.ds.start();
    await welcomed([...clients, ...late]);
    for (const node of cluster.cs) {
      const metrics = await node.metrics();
      assert.ok((metrics.get('lmqtt_connects_without_ds_total{reason="no_ds"}') ?? 0) >= 12);
    }
  });

  void test('ds stands still past the lease: CONNECTs that it has not answered are asked again', async (t) => {
    const cluster = await startCluster({ settings: { LEASE_MS: String(leaseMs) } });
    t.after(() => cluster.stop());
    cluster.ds.freeze();
    const stem = unique('waits');
    const clients = await come(cluster, stem);
    const lost = 'lmqtt_connects_without_ds_total{reason="claim_lost"}';
    await until('claims are lost with the lease', async () => {
      const counts = await Promise.all(cluster.cs.map((node) => node.metrics()));
      return counts.every((metrics) => (metrics.get(lost) ?? 0) > 0);
    });
    const late = await come(cluster, `${stem}-late`);
    cluster.ds.thaw();
    await welcomed([...clients, ...late]);
    // A session that is left and taken up again has one connection.
    const again = await come(cluster, stem);
    await welcomed(again);
    for (const client of clients) await client.expectEnd(patienceMs);
  });
});
