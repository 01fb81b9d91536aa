// Which shape the tests run against: one process, a ds with two cs, or two of each on Redis and
// RocketMQ.
import type { Broker, BrokerOptions } from './broker.ts';
import { SplitBroker } from './split-broker.ts';
import { StoreCluster } from './store-cluster.ts';
import { StandaloneBroker } from './standalone-broker.ts';

const shape = process.env['LMQTT_TEST_SHAPE'];

/** On Redis and RocketMQ: LMQTT_TEST_REDIS_URL and LMQTT_TEST_NAMESRV say where. */
export const isCluster: boolean = shape === 'cluster';

/** ds and cs apart, instead of one process. */
export const isSplit: boolean = shape === 'split' || isCluster;

/** Options of a test that only embedded stores can pass, and why. */
export function embeddedOnly(reason: string): { skip: string | false } {
  return { skip: isCluster ? `embedded stores only: ${reason}` : false };
}

/** Options of a test of what only RocketMQ and Redis do. */
export const clusterOnly: { readonly skip: string | false } = {
  skip: isCluster ? false : 'of a cluster on RocketMQ and Redis',
};

/** Options of a test that only a broker of one process can pass, and why. */
export function standaloneOnly(reason: string): { skip: string | false } {
  return { skip: isSplit ? `one process only: ${reason}` : false };
}

function brokerOf(options: BrokerOptions, external: string | undefined): Broker {
  if (external === undefined && isCluster) {
    const { LMQTT_TEST_REDIS_URL: redisUrl, LMQTT_TEST_NAMESRV: namesrv } = process.env;
    if (redisUrl === undefined || namesrv === undefined) throw new Error('no Redis or RocketMQ');
    return new StoreCluster({ ...options, redisUrl, namesrv });
  }
  if (external === undefined && isSplit) return new SplitBroker(options);
  return new StandaloneBroker(options, external);
}

/**
 * A running broker. With LMQTT_TEST_SHAPE=split in the environment it is a ds and two cs, with
 * `cluster` two of each on Redis and RocketMQ. With
 * LMQTT_TEST_BROKER=host:port[,ws=host:port] it is that one instead, settings and all; what needs
 * restart or metrics fails there.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const external = process.env['LMQTT_TEST_BROKER'];
  const broker = brokerOf(options, external);
  try {
    if (external === undefined) await broker.start();
  } catch (error) {
    // What went wrong is told, not what the stop makes of it.
    await broker.stop().catch(() => undefined);
    throw error;
  }
  return broker;
}
