// The process of what runs without our nodes: one job from its parent, one answer, and it ends.
import { systemClock } from '@lmqtt/common/clock';
import { BrokerConnection } from '@lmqtt/ds/rocketmq/remoting/broker-connection';

import { answerJob } from '../generator.ts';
import type { BareFigures, BareJob } from './bare-job.ts';
import { bareLoop } from './bare-loop.ts';
import { barePulls } from './bare-pulls.ts';

const topic = 'bare';
const queues = 4;
const requestTimeoutMs = 10_000;

async function run({ broker: address, work, seconds }: BareJob): Promise<BareFigures> {
  const nothing = (): void => {};
  const broker = new BrokerConnection(address, {
    clock: systemClock,
    requestTimeoutMs,
    events: {
      ...{ connected: nothing, lost: nothing, notConnected: nothing, garbage: nothing },
      ...{ timedOut: nothing, answeredLate: nothing, tooManyOutstanding: nothing },
      ...{ written: nothing, received: nothing },
    },
  });
  await broker.createTopic({ topic, readQueues: queues, writeQueues: queues });
  if (work.kind === 'pulls') {
    const perS = await barePulls({ broker, topic, queues, ...work });
    return { perS, receivedPerS: perS, p50Ms: 0, p99Ms: 0, late: 0, refused: 0 };
  }
  const { senders, ratePerS } = work;
  const rate = ratePerS === undefined ? {} : { ratePerS };
  const result = await bareLoop({ broker, topic, queues, seconds, ...rate, ...senders });
  const { sentPerS: perS, receivedPerS, p50Ms, p99Ms, late, refused } = result;
  return { perS, receivedPerS, p50Ms, p99Ms, late, refused };
}

answerJob((job) => run(job as BareJob));
