// Back ends send to queues that share buckets, or an MQTT topic only, some of it retained, while the ds
// nodes that send it on are killed and stopped, one after the other: each message comes once, and those
// of one MQTT topic in their order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BackEndCluster,
  backEndSkip as skip,
  backEndTopic as topic,
  lmqOf as lmq,
} from '../harness/back-end-cluster.ts';
import { sumMetrics } from '../harness/metrics.ts';
import { produce } from '../harness/rocketmq/producer.ts';
import type { RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import type { StoreCluster } from '../harness/store-cluster.ts';
import { connected, type RawClient, unique } from '../harness/wire.ts';

const rounds = 20;
const devices = 8;
const messagesEachRound = 200;
/** Between two messages to one device. */
const pauseMs = 20;
const deviceMs = 120_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 6000 } } as const;

let backEnds: BackEndCluster;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;

void describe('back ends, buckets and ds nodes that die', { skip }, () => {
  before(async () => {
    backEnds = await BackEndCluster.start({
      dsSettings: { LIGHT_QUEUES_MAX: '1', LIGHT_QUEUE_BUCKETS: '2' },
    });
    ({ rocketmq, nodes: cluster } = backEnds);
    await (await connected(cluster.mqttPort)).subscribe(unique('alone'), 1);
  });

  after(() => backEnds?.close());

  void test(`${rounds} rounds`, async (t) => {
    const stem = unique();
    const names = Array.from({ length: devices }, (_, number) => `${stem}/${number}`);
    const absent = (number: number): Promise<RawClient> =>
      connected(cluster.mqttPort, { clientId: `${stem}-${number}`, ...lasting });
    for (const [number, name] of names.entries()) {
      const client = await absent(number);
      await client.subscribe(number % 2 === 0 ? name : `${name}/#`, 1);
      await client.disconnect();
    }
    const counts = names.map(() => 0);
    let isOver = false;
    const producing = names.map(async (name, number) => {
      while (!isOver) {
        await produce(rocketmq.broker().port, {
          topic,
          queueId: number % 4,
          body: `${counts[number]}`,
          properties: {
            TAGS: 'MQ2MQTT',
            ...(number % 2 === 0 ? { INNER_MULTI_DISPATCH: lmq(name) } : {}),
            ...(number % 4 === 3 ? { retain: 'true' } : {}),
            originMqttTopic: name,
          },
        });
        counts[number]! += 1;
        await delay(pauseMs);
      }
    });
    const total = (): number => counts.reduce((sum, count) => sum + count, 0);
    const results = { stored: 0, known: 0, failed: 0 };
    const note = async (): Promise<void> => {
      const sums = sumMetrics(await Promise.all(cluster.ds.map((node) => node.metrics())));
      for (const name of ['stored', 'known', 'failed'] as const)
        results[name] += sums.get(`lmqtt_rocketmq_dispatches_total{result="${name}"}`) ?? 0;
    };
    for (let round = 0; round < rounds; round += 1) {
      const reached = total() + messagesEachRound;
      while (total() < reached) await delay(5);
      const node = cluster.ds[round % cluster.ds.length]!;
      if (round % 4 < 3) await node.kill();
      else await node.end();
      await node.start();
      await cluster.untilReady();
    }
    await note();
    isOver = true;
    await Promise.all(producing);
    for (const [number, count] of counts.entries()) {
      const client = await absent(number);
      for (let next = 0; next < count; next += 1) {
        const { payload } = await client.receive({}, deviceMs);
        assert.equal(Number(payload.toString()), next, names[number]);
      }
      await client.expectNothing();
      await client.disconnect();
    }
    t.diagnostic(
      `${total()} messages, ${rounds} rounds; of the last lives: ${JSON.stringify(results)}`,
    );
    assert.equal(results.failed, 0);
  });
});
