// A RocketMQ and a Redis of one row's own, with stores that nobody has used.
import { type RedisServer, startRedis } from '../../harness/redis/redis-server.ts';
import { type RocketmqCluster, startRocketmq } from '../../harness/rocketmq/rocketmq-cluster.ts';
import type { BrokerProcess } from '../meter.ts';
import type { Condition } from './condition.ts';

const brokerHeapMb = 1024;

export class Stores {
  readonly rocketmq: RocketmqCluster;
  readonly redis: RedisServer;

  constructor(rocketmq: RocketmqCluster, redis: RedisServer) {
    this.rocketmq = rocketmq;
    this.redis = redis;
  }

  get brokerAddress(): string {
    return this.rocketmq.broker().address;
  }

  /** Reported beside our own. */
  get processes(): readonly BrokerProcess[] {
    const rocketmq = this.rocketmq.broker();
    return [
      { name: 'rocketmq', pid: rocketmq.pid },
      { name: 'namesrv', pid: this.rocketmq.namesrv.pid },
      { name: 'redis', pid: this.redis.pid },
    ];
  }

  async stop(): Promise<void> {
    await Promise.all([this.rocketmq.close(), this.redis.close()]);
  }
}

/** `openFilesMax`: of the broker. */
export async function startStores(condition: Condition, openFilesMax?: number): Promise<Stores> {
  const { flush, threads, store } = condition;
  const rocketmq = await startRocketmq({
    brokers: [
      {
        heapMb: brokerHeapMb,
        syncFlush: flush === 'sync',
        ...(threads === 'one' ? { sendThreads: 1 } : {}),
        ...(store === 'rocksdb' ? { storeType: 'defaultRocksDB' as const } : {}),
        ...(openFilesMax === undefined ? {} : { openFilesMax }),
      },
    ],
  });
  try {
    return new Stores(rocketmq, await startRedis());
  } catch (error) {
    await rocketmq.close();
    throw error;
  }
}
