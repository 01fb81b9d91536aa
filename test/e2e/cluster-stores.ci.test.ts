// Tests that only a cluster on Redis and RocketMQ can pass: nodes that know of each other, topics
// that share light queues, and positions that outlive Redis.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clientId, queueName } from '@lmqtt/common/ids';
import { clusterGroupName, clusterLmqName } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { bucketName, bucketOf } from '@lmqtt/ds/rocketmq/names/lmq-name';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { closeAllClients, connected, type RawClient, unique } from '../harness/wire.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const buckets = 2;
const queryConsumerOffsetCode = 14;
const maxOffsetCode = 30;
const waitMs = 20_000;
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

interface NodeBody {
  readonly id: string;
  readonly role: string;
  readonly state: string;
  readonly version: string | null;
  readonly address: string | null;
  readonly startedAtMs: number | null;
  readonly leaseAgeMs: number | null;
}

let redis: RedisServer;
let rocketmq: RocketmqCluster;

const startCluster = async (settings: Readonly<Record<string, string>>): Promise<StoreCluster> => {
  const cluster = new StoreCluster({
    redisUrl: redis.url,
    namesrv: rocketmq.namesrv.address,
    dsSettings: settings,
  });
  await cluster.start();
  return cluster;
};

const at = (
  cluster: StoreCluster,
  number: 1 | 2,
  fields: Parameters<typeof connected>[1] = {},
): Promise<RawClient> =>
  connected(cluster.node(`cs-${number}`).port('mqtt'), { version: 5, ...fields });

async function offsetOf(code: number, topic: string, group = ''): Promise<number> {
  const fields = { topic, queueId: '0', consumerGroup: group, setZeroIfNotFound: 'false' };
  const answer = await remotingRequest(rocketmq.broker().port, code, fields);
  return Number(answer.fields['offset'] ?? -1);
}

void describe('a cluster on Redis and RocketMQ', { skip }, () => {
  before(async () => {
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
  });
  after(async () => {
    closeAllClients();
    await rocketmq.close();
    await redis.close();
  });

  void describe('with two light queues for all topics', () => {
    let cluster: StoreCluster;
    before(async () => {
      cluster = await startCluster({
        LIGHT_QUEUES_MAX: '0',
        LIGHT_QUEUE_BUCKETS: String(buckets),
      });
    });
    after(async () => {
      assert.equal(await cluster.stop(), 0);
    });

    void test('every node lists all nodes', async () => {
      for (const asked of cluster.nodes) {
        const answer = await asked.fetch('/api/v1/nodes');
        const { nodes } = (await answer.json()) as { nodes: NodeBody[] };
        const lines = nodes.map(({ id, role, state }) => `${id} ${role} ${state}`).sort();
        const wanted = ['cs-1 cs', 'cs-2 cs', 'ds-1 ds', 'ds-2 ds'].map((name) => `${name} alive`);
        assert.deepEqual(lines, wanted, asked.name);
        for (const { version, address, startedAtMs, leaseAgeMs } of nodes) {
          assert.match(String(version), /^\d+\.\d+\.\d+$/);
          assert.match(String(address), /^127\.0\.0\.1:\d+$/);
          assert.ok(Number(startedAtMs) > Date.now() - 600_000);
          assert.ok(Number(leaseAgeMs) < 10_000, String(leaseAgeMs));
        }
        assert.equal((await asked.fetch('/api/v1/nodes/ds-2')).status, 200);
        assert.equal((await asked.fetch('/api/v1/nodes/nobody')).status, 404);
      }
    });

    void test('topics share them, and everybody gets what is his, at once or later', async () => {
      const topics = Array.from({ length: 6 }, (_, number) => `shared/${number}`);
      const ids = topics.map(() => unique());
      const publisher = await at(cluster, 1);
      for (const [index, id] of ids.entries()) {
        const client = await at(cluster, index % 2 === 0 ? 1 : 2, { clientId: id, ...lasting });
        await client.subscribe(topics[index]!, 1);
        for (const topic of topics) await publisher.publish(topic, `${index} now`, { qos: 1 });
        await client.receive({ topic: topics[index]!, payload: `${index} now` });
        await client.disconnect();
      }
      for (const topic of topics) await publisher.publish(topic, 'last', { qos: 2 });
      for (const [index, id] of ids.entries()) {
        const fields = { clientId: id, ...lasting, sessionPresent: true };
        const client = await at(cluster, index % 2 === 0 ? 2 : 1, fields);
        const topic = topics[index]!;
        for (let later = index + 1; later < ids.length; later += 1)
          await client.receive({ topic, payload: `${later} now` });
        await client.receive({ topic, payload: 'last' });
        await client.disconnect();
      }
      const { clusterId } = cluster;
      const used = new Set(topics.map((topic) => bucketOf(topic, buckets)));
      for (const bucket of used)
        assert.ok((await offsetOf(maxOffsetCode, bucketName(clusterId, bucket))) > 0);
      for (const topic of topics) {
        const own = clusterLmqName(clusterId, queueName(topic));
        assert.equal(await offsetOf(maxOffsetCode, own), 0, own);
      }
    });
  });

  void test('a client that comes back after Redis was emptied goes on where it was', async () => {
    const cluster = await startCluster({});
    const id = unique();
    const topic = 'kept/position';
    const publisher = await at(cluster, 1);
    const first = await at(cluster, 2, { clientId: id, ...lasting });
    await first.subscribe(topic, 1);
    for (const payload of ['a', 'b', 'c']) {
      await publisher.publish(topic, payload, { qos: 1 });
      await first.receive({ topic, payload });
    }
    await first.disconnect();
    const lmq = clusterLmqName(cluster.clusterId, queueName(topic));
    const group = clusterGroupName(cluster.clusterId, clientId(id));
    await until(
      async () => (await offsetOf(queryConsumerOffsetCode, lmq, group)) === 3,
      waitMs,
      'its position is in RocketMQ',
    );
    for (const payload of ['d', 'e']) await publisher.publish(topic, payload, { qos: 1 });
    await redis.command('flushall');
    await until(
      () => Promise.resolve(cluster.logs().includes('EMPTY')),
      waitMs,
      'ds tells of the loss',
    );
    let again: RawClient | undefined;
    await until(
      async () => {
        again = await at(cluster, 1, { clientId: id, ...lasting }).catch(() => undefined);
        return again !== undefined;
      },
      waitMs,
      'it comes back',
    );
    await again!.subscribe(topic, 1);
    await again!.receive({ topic, payload: 'd' });
    await again!.receive({ topic, payload: 'e' });
    closeAllClients();
    await cluster.stop();
  });
});
