// Brokers of RocketMQ that join, or are away at a SUBSCRIBE and return: every subscription gets
// what is stored there from its SUBSCRIBE on, once, over reconnects and restarts of all nodes.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { clusterDefaultTopic } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { haveAllOnce, NotingSubscriber, publishEach } from '../harness/once-ledger.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { layOutRocketmq, type RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const maxOffsetCode = 30;
const topicQueues = 4;
const waitMs = 60_000;
const placedMs = 180_000;
const texts = (word: string): string[] => Array.from({ length: 60 }, (_, n) => `${word} ${n}`);

void describe('brokers that change', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster;
  let all: NotingSubscriber[] = [];
  let probes = 0;

  before(async () => {
    redis = await startRedis();
  });
  after(() => redis?.close());
  afterEach(async () => {
    for (const one of all) one.end();
    all = [];
    await cluster?.stop();
    await rocketmq?.close();
  });

  async function begin(started: readonly string[]): Promise<void> {
    rocketmq = await layOutRocketmq({ brokers: [{ heapMb: 384 }, { heapMb: 384 }] });
    const servers = started.map((name) => rocketmq.broker(name).start());
    await Promise.all([rocketmq.namesrv.start(), ...servers]);
    cluster = new StoreCluster({ redisUrl: redis.url, namesrv: rocketmq.namesrv.address });
    await cluster.start();
  }

  const port = (n: number): number => cluster.node(n % 2 === 0 ? 'cs-1' : 'cs-2').port('mqtt');

  function subscribe(
    n: number,
    id: string,
    filters: Record<string, 0 | 1 | 2>,
  ): Promise<NotingSubscriber> {
    const one = new NotingSubscriber(id, filters);
    all.push(one);
    return one.come(port(n));
  }

  async function storedAt(broker: string): Promise<number> {
    const topic = clusterDefaultTopic(cluster.clusterId);
    let sum = 0;
    for (let queueId = 0; queueId < topicQueues; queueId += 1) {
      const fields = { topic, queueId: String(queueId) };
      const answer = await remotingRequest(rocketmq.broker(broker).port, maxOffsetCode, fields);
      sum += Number(answer.fields['offset'] ?? 0);
    }
    return sum;
  }

  /** Topics are placed there by now. */
  async function untilPlacedAt(broker: string): Promise<void> {
    const before = await storedAt(broker);
    await until(
      async () => {
        probes += 1;
        await publishEach(port(0), `probe/${probes}`, ['1', '2', '3', '4']);
        return (await storedAt(broker)) > before;
      },
      placedMs,
      `topics are placed at ${broker}`,
    );
  }

  async function comeBack(): Promise<void> {
    for (const [n, one] of all.entries()) {
      await one.go();
      one.came.splice(0);
      await one.come(port(n + 1));
    }
  }

  async function queuedOf(id: string): Promise<number> {
    const answer = await cluster.node('ds-1').fetch(`/api/v1/clients/${id}`);
    return ((await answer.json()) as { queued: number }).queued;
  }

  void test('a broker joins: all subscriptions that there are get what is stored there', async () => {
    await begin(['broker-a']);
    await subscribe(0, 'live', { 'scale/#': 1 });
    await subscribe(1, 'exact', { 'scale/+': 2 });
    await subscribe(0, 'both', { 'scale/+': 1, 'scale/#': 2 });
    await subscribe(1, 'shared', { '$share/scale/scale/#': 2 });
    const absent = await subscribe(1, 'absent', { 'scale/#': 2 });
    await absent.go();
    await rocketmq.broker('broker-b').start();
    await untilPlacedAt('broker-b');
    const before = await storedAt('broker-b');
    await publishEach(port(0), 'scale', texts('first'));
    const there = (await storedAt('broker-b')) - before;
    assert.ok(there >= 10, `${there} of 60 are at the new broker`);
    await haveAllOnce(
      all.filter((one) => one !== absent),
      texts('first'),
      waitMs,
    );
    await until(async () => (await queuedOf('absent')) === 60, waitMs, 'all of them are queued');
    await absent.come(port(0));
    await haveAllOnce(all, texts('first'), waitMs);

    await comeBack();
    await subscribe(1, 'later', { 'scale/#': 1 });
    await publishEach(port(1), 'scale', texts('second'));
    await haveAllOnce(all, texts('second'), waitMs);

    for (const one of all) await one.go();
    await publishEach(port(1), 'scale', texts('third'));
    for (const one of all) one.came.splice(0);
    await cluster.restart();
    for (const [n, one] of all.entries()) await one.come(port(n));
    await haveAllOnce(all, texts('third'), waitMs);
  });

  void test('a broker was away at a SUBSCRIBE: it counts from there, when it returns', async () => {
    await begin(['broker-a', 'broker-b']);
    await untilPlacedAt('broker-b');
    await publishEach(port(0), 'scale', texts('old'));
    await rocketmq.broker('broker-b').kill9();
    await subscribe(1, 'at once', { 'scale/#': 2 });
    // Topics are placed at the other broker only, when all of these are stored.
    await until(
      async () => {
        probes += 1;
        return publishEach(port(0), `probe/${probes}`, texts('probe')).then(
          () => true,
          () => false,
        );
      },
      placedMs,
      'topics are placed elsewhere',
    );
    await subscribe(0, 'live', { 'scale/#': 1 });
    await subscribe(1, 'both', { 'scale/+': 1, 'scale/#': 2 });
    await subscribe(1, 'shared', { '$share/scale/scale/#': 2 });
    const absent = await subscribe(0, 'absent', { 'scale/#': 2 });
    await absent.go();
    await publishEach(port(0), 'scale', texts('during'));
    await rocketmq.broker('broker-b').start();
    await untilPlacedAt('broker-b');
    const before = await storedAt('broker-b');
    await publishEach(port(1), 'scale', texts('after'));
    assert.ok((await storedAt('broker-b')) - before >= 10);
    const wanted = [...texts('during'), ...texts('after')];
    await haveAllOnce(
      all.filter((one) => one !== absent),
      wanted,
      waitMs,
    );
    await until(async () => (await queuedOf('absent')) === 120, waitMs, 'all of them are queued');
    await absent.come(port(1));
    await haveAllOnce(all, wanted, waitMs);

    await comeBack();
    for (const one of all) await one.go();
    await cluster.restart();
    for (const [n, one] of all.entries()) await one.come(port(n));
    await publishEach(port(1), 'scale', texts('again'));
    await haveAllOnce(all, texts('again'), waitMs);
  });
});
