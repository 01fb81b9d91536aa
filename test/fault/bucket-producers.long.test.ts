// Back ends send to queues that share buckets, or an MQTT topic only, some of it retained, or to one
// client, or what a rule makes a topic of, while the ds nodes that send it on are killed and stopped,
// one after the other: each message comes once, and those of one MQTT topic in their order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { clientId } from '@lmqtt/common/ids';
import { lmqP2pName } from '@lmqtt/ds/rocketmq/names/lmq-name';
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

/** Every fifth one is a planned stop. */
const rounds = 25;
/** By a rule, its messages are for devices. */
const orders = 'orders';
const messagesEachRound = 200;
/** Between two messages to one device. */
const pauseMs = 20;
const deviceMs = 120_000;
const lasting = { version: 5, clean: false, properties: { sessionExpiryInterval: 6000 } } as const;

interface Device {
  /** undefined: it subscribes to nothing, and what it gets is sent to it alone. */
  readonly filter: string | undefined;
  readonly topic: string;
  readonly properties: Readonly<Record<string, string>>;
}

function devicesOf(stem: string, idOf: (number: number) => string): readonly Device[] {
  const named = Array.from({ length: 8 }, (_, number) => `${stem}/${number}`);
  const subscribing = named.map((name, number) => ({
    filter: number % 2 === 0 ? name : `${name}/#`,
    topic,
    properties: {
      ...(number % 2 === 0 ? { INNER_MULTI_DISPATCH: lmq(name) } : {}),
      ...(number % 4 === 3 ? { retain: 'true' } : {}),
      originMqttTopic: name,
    },
  }));
  const addressed = [
    (id: string) => ({ mqttClientId: id }),
    (id: string) => ({ mqttTopic: `x/p2p/${id}` }),
    (id: string) => ({ INNER_MULTI_DISPATCH: lmqP2pName(clientId(id)) }),
  ].map((of, index) => {
    const properties = of(idOf(named.length + index));
    return { filter: undefined, topic, properties };
  });
  const ruled = [`${stem}-a`, `${stem}-b`].map((device) => ({
    filter: `to/${device}`,
    topic: orders,
    properties: { device },
  }));
  return [...subscribing, ...addressed, ...ruled];
}

let backEnds: BackEndCluster;
let rocketmq: RocketmqCluster;
let cluster: StoreCluster;

void describe('back ends, buckets and ds nodes that die', { skip }, () => {
  before(async () => {
    const dsSettings = {
      LIGHT_QUEUES_MAX: '1',
      LIGHT_QUEUE_BUCKETS: '2',
      TOPIC_TEMPLATES: `${orders} = to/{prop.device}`,
    };
    backEnds = await BackEndCluster.start({ dsSettings }, [orders]);
    ({ rocketmq, nodes: cluster } = backEnds);
    await (await connected(cluster.mqttPort)).subscribe(unique('alone'), 1);
  });

  after(() => backEnds?.close());

  void test(`${rounds} rounds`, async (t) => {
    const stem = unique();
    const idOf = (number: number): string => `${stem}-${number}`;
    const devices = devicesOf(stem, idOf);
    const absent = (number: number): Promise<RawClient> =>
      connected(cluster.mqttPort, { clientId: idOf(number), ...lasting });
    for (const [number, { filter }] of devices.entries()) {
      const client = await absent(number);
      if (filter !== undefined) await client.subscribe(filter, 1);
      await client.disconnect();
    }
    const counts = devices.map(() => 0);
    let isOver = false;
    const producing = devices.map(async (device, number) => {
      while (!isOver) {
        await produce(rocketmq.broker().port, {
          topic: device.topic,
          queueId: number % 4,
          body: `${counts[number]}`,
          properties: { TAGS: 'MQ2MQTT', ...device.properties },
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
      if (round % 5 < 4) await node.kill();
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
        assert.equal(Number(payload.toString()), next, `device ${number}`);
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
