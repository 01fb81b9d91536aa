// One of two brokers of RocketMQ is killed, and later all name servers: who subscribes, who
// publishes, and what is told of it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { NotingSubscriber } from '../harness/once-ledger.ts';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const topicCount = 40;
const appendWaitMs = 3000;
/** Longer than this test: what is placed elsewhere is so because the broker was forgotten. */
const goneMs = 3_600_000;
const waitMs = 120_000;
/** SUBSCRIBE waited 5 s for each broker that is gone, or was denied. */
const grantedMs = 4000;
const implementationSpecific = 0x83;

interface Told {
  readonly code: number;
  readonly reason: string | undefined;
  readonly tookMs: number;
}

void describe('one of two brokers is away', { skip }, () => {
  let redis: RedisServer;
  let rocketmq: RocketmqCluster;
  let cluster: StoreCluster;
  let publisher: MqttClient;
  let live: NotingSubscriber;
  const topics = Array.from({ length: topicCount }, (_, n) => `away/${n}`);
  const subscribers: NotingSubscriber[] = [];

  before(async () => {
    const brokers = [{ heapMb: 384 }, { heapMb: 384 }];
    [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq({ brokers })]);
    cluster = new StoreCluster({
      ...{ redisUrl: redis.url, namesrv: rocketmq.namesrv.address },
      dsSettings: { APPEND_WAIT_MS: `${appendWaitMs}`, BROKER_GONE_MS: `${goneMs}` },
    });
    await cluster.start();
    live = await subscriber('live').come(port());
    publisher = await connectAsync(`mqtt://127.0.0.1:${port()}`, {
      ...{ clientId: 'publisher', protocolVersion: 5 },
    });
  });
  after(async () => {
    publisher?.end(true);
    for (const each of subscribers) each.end();
    await cluster?.stop();
    await Promise.all([rocketmq?.close(), redis?.close()]);
  });

  const port = (): number => cluster.mqttPort;

  function subscriber(id: string): NotingSubscriber {
    const one = new NotingSubscriber(id, { 'away/#': 1 });
    subscribers.push(one);
    return one;
  }

  async function publish(topic: string, text: string): Promise<Told> {
    const startedMs = performance.now();
    const tookMs = (): number => performance.now() - startedMs;
    return new Promise((resolve) => {
      publisher.publish(topic, `${topic} ${text}`, { qos: 1 }, (error, packet) => {
        const answer = packet as { properties?: { reasonString?: string } } | undefined;
        const code = error === null || error === undefined ? 0 : (error as { code?: number }).code;
        const reason = answer?.properties?.reasonString ?? error?.message;
        resolve({ code: code ?? -1, reason, tookMs: tookMs() });
      });
    });
  }

  const publishAll = (text: string): Promise<Told[]> =>
    Promise.all(topics.map((topic) => publish(topic, text)));

  async function untilAllCame(text: string, ...who: NotingSubscriber[]): Promise<void> {
    const wanted = topics.map((topic) => `${topic} ${text}`);
    await until(
      async () => who.every(({ came }) => wanted.every((each) => came.includes(each))),
      waitMs,
      `everybody has ${text}`,
    );
  }

  async function comes(one: NotingSubscriber): Promise<number> {
    const startedMs = performance.now();
    await one.come(port());
    return performance.now() - startedMs;
  }

  async function brokers(...args: string[]): Promise<string> {
    const command = new ServerProcess('brokers');
    const { clusterId } = cluster;
    const servers = { REDIS_URL: redis.url, NAMESRV_ADDR: rocketmq.namesrv.address };
    command.spawn(['brokers', ...args, ...flagsOf({ CLUSTER_ID: clusterId, ...servers })]);
    await command.exited;
    const said = command.logs();
    assert.equal(await command.end('SIGTERM', waitMs), 0, said);
    return said;
  }

  void test('SUBSCRIBE is granted at once, and publishers of its topics are told why', async (t) => {
    for (const { code } of await publishAll('before')) assert.equal(code, 0);
    await untilAllCame('before', live);
    await rocketmq.broker('broker-b').kill9();
    const meanwhile = subscriber('meanwhile');
    const tookMs = await comes(meanwhile);
    t.diagnostic(`SUBSCRIBE took ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < grantedMs, `${tookMs} ms`);
    const told = await publishAll('away');
    const refused = told.filter(({ code }) => code !== 0);
    t.diagnostic(`${refused.length} of ${topicCount} topics are at the broker that is away`);
    assert.ok(refused.length > 0 && refused.length < topicCount);
    for (const { code, reason, tookMs: waitedMs } of refused) {
      assert.equal(code, implementationSpecific);
      assert.match(reason ?? '', /not stored in time/);
      assert.ok(waitedMs >= appendWaitMs, `${waitedMs} ms`);
    }
  });

  void test('topics that were never published are placed on the broker that is there', async () => {
    const fresh = Array.from({ length: topicCount }, (_, n) => `away/fresh-${n}`);
    const first = await Promise.all(fresh.map((topic) => publish(topic, 'first')));
    for (const { code, reason } of first) assert.equal(code, 0, reason);
    topics.push(...fresh);
    await until(
      async () => fresh.every((topic) => live.came.includes(`${topic} first`)),
      waitMs,
      'they are delivered',
    );
  });

  void test('it is back: what it takes reaches who subscribed meanwhile, too', async () => {
    await rocketmq.broker('broker-b').start();
    await until(
      async () => (await publishAll('probe')).every(({ code }) => code === 0),
      waitMs,
      'publishers go on',
    );
    const later = subscriber('later');
    await later.come(port());
    for (const { code } of await publishAll('back')) assert.equal(code, 0);
    await untilAllCame('back', ...subscribers);
  });

  void test('it is gone for good: forgotten, nobody waits for it any more', async (t) => {
    await rocketmq.broker('broker-b').kill9();
    await until(
      async () => /broker-b.*away/.test(await brokers()),
      waitMs,
      'the command says that it is away',
    );
    const waiting = subscriber('waiting');
    assert.ok((await comes(waiting)) < grantedMs);
    assert.match(await brokers('forget', 'broker-b'), /is forgotten/);
    await until(
      async () => (await publishAll('probe')).every(({ code }) => code === 0),
      waitMs,
      'its topics are placed on the other',
    );
    const last = subscriber('last');
    const tookMs = await comes(last);
    t.diagnostic(`SUBSCRIBE took ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < grantedMs, `${tookMs} ms`);
    for (const { code } of await publishAll('forgotten')) assert.equal(code, 0);
    await untilAllCame('forgotten', ...subscribers);
  });

  void test('without name servers new topics go by known routes, and /readyz and a metric say it', async () => {
    await rocketmq.namesrv.kill9();
    const [ds] = cluster.ds;
    const up = `lmqtt_rocketmq_name_server_up{address="${rocketmq.namesrv.address}"}`;
    await until(
      async () => [...(await ds!.metrics())].some(([name, value]) => name === up && value === 0),
      waitMs,
      'the metric says it',
    );
    // Any request shows the metric that they are gone; the note comes with the next poll of brokers.
    await until(
      async () => {
        const answer = await ds!.fetch('/readyz');
        assert.equal(answer.status, 200);
        return (await answer.text()).includes('no name server');
      },
      waitMs,
      '/readyz says it',
    );
    const told = await Promise.all(
      ['away/new-1', 'away/new/2'].map((topic) => publish(topic, 'x')),
    );
    for (const { code } of told) assert.equal(code, 0);
    assert.ok((await comes(subscriber('nameless'))) < grantedMs);
    await until(
      async () => subscribers[0]!.came.includes('away/new/2 x'),
      waitMs,
      'the new topic is delivered',
    );
    await rocketmq.namesrv.start();
    await until(
      async () => [...(await ds!.metrics())].some(([name, value]) => name === up && value === 1),
      waitMs,
      'the metric says that it is back',
    );
  });
});
