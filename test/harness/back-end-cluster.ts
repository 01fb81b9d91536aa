import type { QueueName } from '@lmqtt/common/ids';
import { clusterDefaultTopic, plainCluster } from '@lmqtt/ds/rocketmq/names/cluster-names';
import { lmqNameOf } from '@lmqtt/ds/rocketmq/names/lmq-name';
import { sumMetrics } from './metrics.ts';
import { type RedisServer, startRedis } from './redis/redis-server.ts';
import { requireRedis, requireRocketmq } from './require.ts';
import { flagsOf, ServerProcess } from './process.ts';
import { createTopic } from './rocketmq/producer.ts';
import { type RocketmqCluster, startRocketmq } from './rocketmq/rocketmq-cluster.ts';
import { StoreCluster, type StoreClusterOptions } from './store-cluster.ts';
import { closeAllClients, connected, type RawClient } from './wire.ts';

/** RocketMQ topic of the cluster's messages. */
export const backEndTopic: string = clusterDefaultTopic(plainCluster);

/** Why tests of back ends are left out; false: they are not. */
export const backEndSkip: string | false = requireRedis().skip || requireRocketmq().skip;

/** The light queue of a filter, as a back end names it. */
export const lmqOf = (filter: string): string => lmqNameOf(filter as QueueName);

/** A cluster whose RocketMQ a test uses as back ends do. */
export class BackEndCluster {
  readonly rocketmq: RocketmqCluster;
  readonly nodes: StoreCluster;
  readonly #redis: RedisServer;

  private constructor(redis: RedisServer, rocketmq: RocketmqCluster, nodes: StoreCluster) {
    this.#redis = redis;
    this.rocketmq = rocketmq;
    this.nodes = nodes;
  }

  /** `topics`: RocketMQ topics that are there before the nodes are. */
  static async start(
    options: Pick<StoreClusterOptions, 'settings' | 'dsSettings'> = {},
    topics: readonly string[] = [],
  ): Promise<BackEndCluster> {
    const [redis, rocketmq] = await Promise.all([startRedis(), startRocketmq()]);
    for (const topic of topics) await createTopic(rocketmq.broker().port, topic);
    const nodes = new StoreCluster({
      clusterId: plainCluster,
      redisUrl: redis.url,
      namesrv: rocketmq.namesrv.address,
      ...options,
    });
    const cluster = new BackEndCluster(redis, rocketmq, nodes);
    try {
      await nodes.start();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  async close(): Promise<void> {
    closeAllClients();
    await this.nodes.stop();
    await Promise.all([this.#redis.close(), this.rocketmq.close()]);
  }

  /** Port of the RocketMQ broker. */
  get brokerPort(): number {
    return this.rocketmq.broker().port;
  }

  device(fields: Parameters<typeof connected>[1] = {}): Promise<RawClient> {
    return connected(this.nodes.mqttPort, { version: 5, ...fields });
  }

  /** What the command prints, of this cluster. */
  async command(name: string): Promise<string> {
    const settings = {
      REDIS_URL: this.#redis.url,
      CLUSTER_ID: plainCluster,
      NAMESRV_ADDR: this.rocketmq.namesrv.address,
    };
    const command = new ServerProcess(name);
    command.spawn([name, ...flagsOf(settings)]);
    await command.exited;
    return command.logs();
  }

  /** Sum of a metric over all ds nodes; 0: none has it. */
  async counted(line: string): Promise<number> {
    const all = await Promise.all(
      this.nodes.ds.map((node) => node.metrics().catch(() => new Map<string, number>())),
    );
    return sumMetrics(all).get(line) ?? 0;
  }
}
