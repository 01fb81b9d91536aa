// Rounds in which a broker of RocketMQ is added, lost, returned, and forgotten, under load, with a
// ledger of what was acknowledged and what everybody got.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { clusterDefaultTopic } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { type LedgerParty, NumberedLedger } from '../harness/numbered-ledger.ts';
import { NotingSubscriber } from '../harness/once-ledger.ts';
import { flagsOf, ServerProcess } from '../harness/process.ts';
import { type RedisServer, startRedis } from '../harness/redis/redis-server.ts';
import { until } from '../harness/redis/until.ts';
import type { BrokerOptions } from '../harness/rocketmq/broker.ts';
import { remotingRequest } from '../harness/rocketmq/remoting-request.ts';
import { layOutRocketmq, type RocketmqCluster } from '../harness/rocketmq/rocketmq-cluster.ts';
import { StoreCluster } from '../harness/store-cluster.ts';

const maxOffsetCode = 30;
const topicQueues = 4;
const topicCount = 24;
const restMs = 50;
const waitMs = 120_000;
const changedMs = 180_000;
const goneMs = 3000;
const other = 'broker-b';

export class BrokerRounds {
  readonly #redis: RedisServer;
  readonly #rocketmq: RocketmqCluster;
  readonly #cluster: StoreCluster;
  readonly #ledger = new NumberedLedger('rounds', topicCount, restMs);
  readonly #live: readonly LedgerParty[];
  readonly #absent = new NotingSubscriber('absent', { 'rounds/#': 2 });
  readonly #t: TestContext;
  #later: LedgerParty | undefined;
  #count = 0;

  private constructor(t: TestContext, redis: RedisServer, rocketmq: RocketmqCluster) {
    this.#t = t;
    this.#redis = redis;
    this.#rocketmq = rocketmq;
    this.#cluster = new StoreCluster({
      ...{ redisUrl: redis.url, namesrv: rocketmq.namesrv.address },
      dsSettings: { BROKER_GONE_MS: `${goneMs}` },
    });
    const one = (id: string, filters: Record<string, 0 | 1 | 2>): LedgerParty => ({
      ...{ name: id, members: [new NotingSubscriber(id, filters)] },
    });
    this.#live = [
      one('live', { 'rounds/#': 2 }),
      one('both', { 'rounds/#': 2, 'rounds/+': 2 }),
      // A group of one has the order of a subscriber.
      one('alone', { '$share/alone/rounds/#': 2 }),
      {
        name: 'group',
        members: ['member-1', 'member-2'].map(
          (id) => new NotingSubscriber(id, { '$share/rounds/rounds/#': 2 }),
        ),
      },
    ];
  }

  /** One of two brokers runs then. */
  static async start(t: TestContext, broker: BrokerOptions = {}): Promise<BrokerRounds> {
    const redis = await startRedis();
    const brokers = [
      { heapMb: 384, ...broker },
      { heapMb: 384, ...broker },
    ];
    const rocketmq = await layOutRocketmq({ brokers });
    const rounds = new BrokerRounds(t, redis, rocketmq);
    try {
      await Promise.all([rocketmq.namesrv.start(), rocketmq.broker('broker-a').start()]);
      await rounds.#cluster.start();
      for (const [n, { members }] of rounds.#live.entries())
        for (const member of members) await member.come(rounds.#port(n));
      await rounds.#absent.come(rounds.#port(0));
      await rounds.#absent.go();
      await rounds.#ledger.start([rounds.#port(0), rounds.#port(1)]);
    } catch (error) {
      await rounds.stop();
      throw error;
    }
    return rounds;
  }

  async stop(): Promise<void> {
    await this.#ledger.stop();
    for (const one of this.#everybody) one.end();
    await this.#cluster.stop();
    await this.#rocketmq.close();
    await this.#redis.close();
  }

  /** A broker joins, is lost with kill -9, and returns. */
  async shortRound(): Promise<void> {
    this.#count += 1;
    await this.#during('joins', async () => {
      await this.#broker.start();
      await this.#untilPlaced(true);
    });
    await this.#during('is lost and returns', async (later) => {
      await this.#broker.kill9();
      this.#ledger.mayBeLate([...this.#live.flatMap(({ members }) => members), later]);
      await this.#broker.start();
    });
    this.#tell();
  }

  /** A broker joins, is lost with kill -9, returns, is stopped, and is forgotten. */
  async round(): Promise<void> {
    await this.shortRound();
    // Messages that only that broker has come when it is back, behind those that are stored
    // elsewhere meanwhile.
    await this.#ledger.pause();
    await this.#allHaveAll();
    await this.#broker.stop();
    this.#ledger.resume();
    await this.#untilPlaced(false);
    await this.#during('returns after that', async () => {
      await this.#broker.start();
      await this.#untilPlaced(true);
    });
    // Messages stored only there would be lost with it: there are none.
    await this.#ledger.pause();
    await this.#allHaveAll();
    await this.#during('is forgotten', async () => {
      await this.#broker.stop();
      await this.#forget();
      this.#ledger.resume();
      await this.#untilPlaced(false);
    });
    this.#tell();
  }

  #tell(): void {
    this.#t.diagnostic(
      `round ${this.#count}: ${this.#ledger.count('acknowledged')} acknowledged, ` +
        `${this.#ledger.count('refused')} refused, 0 lost, 0 doubled at QoS 2, in order`,
    );
  }

  get #broker(): ReturnType<RocketmqCluster['broker']> {
    return this.#rocketmq.broker(other);
  }

  get #everybody(): NotingSubscriber[] {
    const parties = this.#later === undefined ? this.#live : [...this.#live, this.#later];
    return [...parties.flatMap(({ members }) => members), this.#absent];
  }

  #port(n: number): number {
    return this.#cluster.node(n % 2 === 0 ? 'cs-1' : 'cs-2').port('mqtt');
  }

  /** Somebody subscribes in the midst of it, and everybody has everything afterwards. */
  async #during(what: string, work: (later: NotingSubscriber) => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    const before = this.#ledger.count('acknowledged');
    const name = `later-${this.#count}-${what.replaceAll(/\W+/g, '-')}`;
    const later = new NotingSubscriber(name, { 'rounds/#': 2 });
    const working = work(later);
    // From its SUBACK on, whatever happens to the broker meanwhile.
    const subscribing = later.come(this.#port(this.#count)).then(() => this.#ledger.sent);
    const [after] = await Promise.all([subscribing, working]);
    this.#later = { name, members: [later], after };
    await until(
      () => Promise.resolve(this.#ledger.count('acknowledged') > before + topicCount),
      waitMs,
      `publishers go on after ${other} ${what}`,
    );
    await this.#allHaveAll();
    later.end();
    this.#later = undefined;
    const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
    this.#t.diagnostic(`round ${this.#count}: ${other} ${what}: ${tookS} s`);
  }

  async #allHaveAll(): Promise<void> {
    await this.#absent.come(this.#port(this.#count + 1));
    const parties = [...this.#live, { name: 'absent', members: [this.#absent] }];
    if (this.#later !== undefined) parties.push(this.#later);
    await this.#ledger.haveAll(parties, waitMs);
    await this.#absent.go();
  }

  /** Whether what is published now goes there, too. */
  async #untilPlaced(isThere: boolean): Promise<void> {
    const topic = clusterDefaultTopic(this.#cluster.clusterId);
    const sizes = this.#ledger.topics.map(({ acknowledged }) => acknowledged.size);
    await until(
      async () => {
        // A message under way may have been stored before; the next one was not.
        if (!isThere)
          return this.#ledger.topics.every((each, n) => each.acknowledged.size >= sizes[n]! + 2);
        const before = await this.#storedAt(topic);
        await this.#untilAcknowledged(this.#ledger.count('acknowledged') + 2 * topicCount);
        return (await this.#storedAt(topic)) > before;
      },
      changedMs,
      `topics are placed ${isThere ? 'at' : 'elsewhere than'} ${other}`,
    );
  }

  #untilAcknowledged(count: number): Promise<void> {
    return until(
      () => Promise.resolve(this.#ledger.count('acknowledged') >= count),
      waitMs,
      'publishers go on',
    );
  }

  async #storedAt(topic: string): Promise<number> {
    let sum = 0;
    for (let queueId = 0; queueId < topicQueues; queueId += 1) {
      const fields = { topic, queueId: String(queueId) };
      const answer = await remotingRequest(this.#broker.port, maxOffsetCode, fields);
      sum += Number(answer.fields['offset'] ?? 0);
    }
    return sum;
  }

  async #forget(): Promise<void> {
    const command = new ServerProcess('brokers');
    const { clusterId } = this.#cluster;
    command.spawn([
      ...['brokers', 'forget', other],
      ...flagsOf({
        ...{ CLUSTER_ID: clusterId, REDIS_URL: this.#redis.url },
        NAMESRV_ADDR: this.#rocketmq.namesrv.address,
      }),
    ]);
    await command.exited;
    const said = command.logs();
    assert.equal(await command.end('SIGTERM', waitMs), 0, said);
    assert.match(said, /is forgotten/);
  }
}
