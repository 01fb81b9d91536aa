// CONNECTs of a cluster that come while a ds dies, while there is none, and while Redis is away:
// nobody is refused, whichever ds the client belongs to.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connectRaw, type RawClient, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
/** Time limit of one wait; a busy machine takes ten times as long as it needs. */
const patienceMs = 100_000;
const perNode = 20;

void describe('a CONNECT of a cluster waits for a ds', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster;
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    const settings = { LEASE_MS: '2s', CONNECT_WAIT_MS: '100s' };
    const namesrv = rocketmq.namesrv.address;
    cluster = new StoreCluster({ redisUrl: redis.url, namesrv, settings });
    await cluster.start();
  });
  after(async () => {
    closeAllClients();
    await cluster.stop();
    await rocketmq.close();
    await redis.close();
  });

  /** Sessions that end with their connections and such that are stored, at every cs. */
  async function come(stem: string): Promise<RawClient[]> {
    const clients: RawClient[] = [];
    for (const node of cluster.cs) {
      for (let index = 0; index < perNode; index += 1) {
        const version = index % 4 < 2 ? 4 : 5;
        const client = await connectRaw(node.port('mqtt'), { version });
        const clientId = `${stem}-${node.name}-${index}`;
        client.send(connect({ version, clientId, clean: index % 2 === 0 }));
        clients.push(client);
      }
    }
    return clients;
  }

  async function welcomed(clients: readonly RawClient[]): Promise<void> {
    for (const client of clients) await client.expect('connack', { reason: 0 }, patienceMs);
    for (const client of clients) await client.ping();
  }

  void test('one ds of two dies with CONNECTs at it, and those that come next wait or go to the other', async () => {
    const stem = unique('one');
    const before = await come(`${stem}-before`);
    await cluster.node('ds-1').kill();
    const next = await come(`${stem}-next`);
    await welcomed([...before, ...next]);
    await cluster.node('ds-1').start();
    // The same clients once more: some belong to the other ds again.
    await welcomed(await come(`${stem}-before`));
  });

  void test('both ds die: who comes meanwhile is served by the next ones', async () => {
    const stem = unique('both');
    await Promise.all(cluster.ds.map((node) => node.kill()));
    const clients = await come(stem);
    await Promise.all(cluster.ds.map((node) => node.start()));
    await welcomed(clients);
    const lines = await Promise.all(cluster.cs.map((node) => node.metrics()));
    const waited = lines.map((each) => each.get('lmqtt_connects_without_ds_total{reason="no_ds"}'));
    assert.ok(
      waited.every((count) => count !== undefined && count > 0),
      String(waited),
    );
  });

  void test('Redis stands still past the lease: who comes then waits for the next one', async () => {
    const stem = unique('redis');
    redis.pause();
    const endMs = performance.now() + patienceMs;
    for (;;) {
      const states = await Promise.all(cluster.cs.map((node) => node.fetch('/readyz')));
      if (states.every(({ status }) => status === 503)) break;
      assert.ok(performance.now() < endMs, 'the lease has not ended');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const clients = await come(stem);
    redis.resume();
    await welcomed(clients);
  });
});
