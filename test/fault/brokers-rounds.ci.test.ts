// A broker that joins, is lost, and returns under load, once: the long form has the rest.
import { test } from 'node:test';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { BrokerRounds } from './brokers-rounds.ts';

const skip = requireRedis().skip || requireRocketmq().skip;

void test('a broker joins, is lost with kill -9 and returns under load', { skip }, async (t) => {
  const run = await BrokerRounds.start(t);
  try {
    await run.shortRound();
  } finally {
    await run.stop();
  }
});
