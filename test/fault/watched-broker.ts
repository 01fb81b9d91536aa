// A broker of RocketMQ to which something happens under publishers of both QoS that wait for
// acknowledgements: how soon each goes on, and whether the ledger agrees afterwards.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterDefaultTopic } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { bodiesIn, clientOf, pullOnce } from '../contract/rocketmq-client.ts';
import type { Version } from '../harness/packets.ts';
import type { RedisServer } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import type { RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import { LedgerSubscriber } from './ledger-subscriber.ts';
import { Ledger, type LedgerFigures } from './ledger.ts';
import { Traveller } from './traveller.ts';

const tickMs = 20;
const awayMs = 4000;
const lookMs = 10;
const trafficMs = 500;
const goesOnMs = 60_000;
const settledMs = 60_000;
const quietMs = 1000;
const topicQueues = 4;
const createTopicCode = 17;

interface Way {
  readonly version: Version;
  readonly qos: 1 | 2;
  readonly topics: number;
  readonly window: number;
}

/** Per publisher: what is in flight at one time, and on how many topics. */
const ways: readonly Way[] = [
  { version: 4, qos: 1, topics: 1, window: 30 },
  { version: 5, qos: 1, topics: 30, window: 30 },
  { version: 3, qos: 2, topics: 1, window: 30 },
  { version: 4, qos: 2, topics: 1, window: 30 },
  { version: 4, qos: 2, topics: 30, window: 30 },
  { version: 5, qos: 2, topics: 1, window: 30 },
  { version: 5, qos: 2, topics: 30, window: 30 },
  { version: 5, qos: 2, topics: 64, window: 1024 },
];

/**
 * After it happened, ms: each topic has another acknowledgement, and all that
 * was sent before has.
 */
export interface GoingOn {
  readonly name: string;
  readonly qos: 1 | 2;
  readonly firstMs: number;
  readonly allMs: number;
}

interface Publishing {
  readonly name: string;
  readonly way: Way;
  readonly publisher: LedgerPublisher;
  readonly traveller: Traveller;
}

export class WatchedBroker {
  readonly cluster: StoreCluster;
  readonly #rocketmq: RocketmqCluster;
  readonly #ledger = new Ledger();
  readonly #publishing: Publishing[];
  readonly #reader: Traveller;
  readonly #refused: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: RedisServer, rocketmq: RocketmqCluster, ds: number = 1) {
    this.#rocketmq = rocketmq;
    this.cluster = new StoreCluster({
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
      ds,
      cs: 1,
      // A JVM starts slowly on a busy machine.
      dsSettings: { APPEND_WAIT_MS: '60000' },
      settings: { LOG_LEVEL: process.env['FAULT_LOG_LEVEL'] ?? 'warn' },
    });
    const account = this.#ledger.account('reader', () => 2);
    const reader = new LedgerSubscriber(this.#ledger, {
      clientId: 'reader',
      version: 5,
      filters: [{ filter: 'watched/#', qos: 2 }],
      arrived: (topic, payload) => account.arrived(topic, Number(payload)),
    });
    this.#reader = this.#traveller('reader', reader);
    this.#publishing = ways.map((way) => this.#publishingOf(way));
  }

  #publishingOf(way: Way): Publishing {
    const { version, qos, window } = way;
    const name = `v${version} qos${qos} ${way.topics}x${window}`;
    const topics = Array.from({ length: way.topics }, (_, n) =>
      this.#ledger.topic(`watched/${name.replaceAll(' ', '-')}/${n}`, qos),
    );
    const publisher = new LedgerPublisher(this.#ledger, {
      ...{ clientId: name.replaceAll(' ', '-'), version, topics, window },
      refused: (reason) => this.#refused.push(`${name}: 0x${reason.toString(16)}`),
    });
    return { name, way, publisher, traveller: this.#traveller(name, publisher) };
  }

  #traveller(name: string, party: LedgerPublisher | LedgerSubscriber): Traveller {
    const port = (): number => this.cluster.node('cs-1').port('mqtt');
    return new Traveller(name, party, { port, connectMs: 10_000 });
  }

  async start(): Promise<void> {
    await this.cluster.start();
    const port = this.cluster.node('cs-1').port('mqtt');
    await this.#reader.start(port);
    for (const { traveller } of this.#publishing) await traveller.start(port);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#publishing.map(({ traveller }) => traveller.stop()));
    await this.#reader.stop();
    await this.cluster.stop();
  }

  /** The broker is killed under load and is back 4 s later; all that was in flight is answered. */
  async kill(): Promise<GoingOn[]> {
    const broker = this.#rocketmq.broker();
    this.#go();
    await delay(trafficMs);
    await until(() => Promise.resolve(this.#acknowledged() > 0), goesOnMs, 'traffic');
    // All windows are full of what has no answer.
    broker.pause();
    await delay(trafficMs);
    await broker.kill9();
    const killedMs = performance.now();
    // Answers that were on their way have come by then.
    const watched = delay(quietMs).then(() => this.#watch(killedMs));
    await delay(awayMs);
    await broker.start();
    return watched;
  }

  /** Under load the default topic gets so many queues, as `mqadmin updateTopic` sets them. */
  async setQueues(count: number): Promise<GoingOn[]> {
    this.#go();
    await until(() => Promise.resolve(this.#acknowledged() > 0), goesOnMs, 'traffic');
    const { port } = this.#rocketmq.broker();
    const answer = await remotingRequest(port, createTopicCode, {
      topic: clusterDefaultTopic(this.cluster.clusterId),
      ...{ defaultTopic: 'TBW102', readQueueNums: `${count}`, writeQueueNums: `${count}` },
      ...{ perm: '6', topicFilterType: 'SINGLE_TAG', topicSysFlag: '0', order: 'false' },
    });
    assert.equal(answer.code, 0, answer.remark);
    return this.#watch(performance.now());
  }

  /** Nobody publishes any more, and everybody has what is owed. */
  async settle(): Promise<LedgerFigures> {
    clearInterval(this.#timer);
    const isOver = (): boolean =>
      this.#publishing.every(({ publisher }) => publisher.inflight === 0) &&
      this.#ledger.owed() === 0;
    const endMs = performance.now() + settledMs;
    while (!isOver() && performance.now() < endMs) await delay(100);
    await delay(quietMs);
    return this.#ledger.settle();
  }

  /** Connections that the broker ended, and publishes that it refused. */
  get disturbances(): string[] {
    const dropped = [this.#reader, ...this.#publishing.map(({ traveller }) => traveller)]
      .filter(({ drops }) => drops > 0)
      .map(({ name, drops }) => `${name}: ${drops} connections ended`);
    return [...dropped, ...new Set(this.#refused)];
  }

  /** Whoever reads the topic's queues with `*` gets only what was published. */
  async assertNothingElseIsStored(): Promise<void> {
    const client = clientOf(this.#rocketmq);
    const topic = clusterDefaultTopic(this.cluster.clusterId);
    const broker = client.broker(this.#rocketmq.broker().address);
    try {
      for (let queueId = 0; queueId < topicQueues; queueId += 1) {
        for (let offset = 0; ;) {
          const answer = await pullOnce(broker, topic, offset, { queueId });
          if (answer.kind === 'failed') throw new Error(answer.reason);
          if (answer.kind === 'nothing') break;
          for (const body of bodiesIn(answer.body)) assert.match(body, /^\d+$/);
          offset = answer.next;
        }
      }
    } finally {
      client.close();
    }
  }

  #go(): void {
    this.#timer = setInterval(() => {
      for (const { publisher } of this.#publishing) publisher.publish();
    }, tickMs);
  }

  #acknowledged(): number {
    const counts = this.#publishing.map(({ publisher }) => countOf(publisher));
    return Math.min(...counts);
  }

  #watch(sinceMs: number): Promise<GoingOn[]> {
    const elapsedMs = (): number => Math.round(performance.now() - sinceMs);
    return Promise.all(
      this.#publishing.map(async ({ name, way, publisher }) => {
        const topics = publisher.options.topics.map((topic) => {
          return { topic, last: topic.sent, before: topic.acknowledged.size };
        });
        const goesOn = topics.map(async ({ topic, before }) => {
          const isAnswered = () => Promise.resolve(topic.acknowledged.size > before);
          await until(isAnswered, goesOnMs, `${topic.name} goes on`);
        });
        await Promise.all(goesOn);
        const firstMs = elapsedMs();
        const isAllAnswered = (): boolean =>
          topics.every(({ topic, last }) => topic.acknowledged.has(last));
        while (!isAllAnswered() && elapsedMs() < goesOnMs) await delay(lookMs);
        return { name, qos: way.qos, firstMs, allMs: elapsedMs() };
      }),
    );
  }
}

function countOf({ options }: LedgerPublisher): number {
  let count = 0;
  for (const { acknowledged } of options.topics) count += acknowledged.size;
  return count;
}
