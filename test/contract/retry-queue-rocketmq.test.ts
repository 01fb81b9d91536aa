import { after } from 'node:test';
import { systemClock } from '@lmqtt/common/clock';
import { RocketmqRetryQueue } from '@lmqtt/ds/retry-queue/rocketmq/rocketmq-retry-queue';
import { requireRocketmq } from '../harness/require.ts';
import { type RocketmqCluster, startRocketmq } from '../harness/rocketmq/rocketmq-cluster.ts';
import { lettersMax, retryQueueContract, type RetryQueueUnderTest } from './retry-queue.ts';
import { clientOf } from './rocketmq-client.ts';

let started: Promise<RocketmqCluster> | undefined;
after(async () => (await started)?.close());
let opened = 0;

function under(cluster: RocketmqCluster, name: string): RetryQueueUnderTest {
  const client = clientOf(cluster);
  const queue = new RocketmqRetryQueue({
    ...{ client, clock: systemClock, lettersMax },
    retryTopic: `${name}-retry`,
    deadLetterTopic: `${name}-dead-letters`,
  });
  return {
    queue,
    // A level of RocketMQ is late by as long as its timer takes.
    lateMsMax: 5000,
    delayMs: 1000,
    crash: () => {
      client.close();
      return Promise.resolve(under(cluster, name));
    },
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

const needed = requireRocketmq();

retryQueueContract(
  'rocketmq by remoting',
  async () => {
    const cluster = await (started ??= startRocketmq());
    opened += 1;
    return under(cluster, `contract-${opened}`);
  },
  needed,
);
