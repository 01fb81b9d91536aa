// Brokers that are added, lost, returned and forgotten under load: BROKER_ROUNDS rounds on each
// store of RocketMQ. 4.x and 5.0 to 5.1 have no RocksDB.
import { describe, test } from 'node:test';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { wantedVersion } from '../harness/rocketmq/jars.ts';
import { BrokerRounds } from './brokers-rounds.ts';

const skip = requireRedis().skip || requireRocketmq().skip;
const rounds = Number(process.env['BROKER_ROUNDS'] ?? 20);
const roundMs = 900_000;
const storeTypes = /^5\.[2-9]/.test(wantedVersion())
  ? (['default', 'defaultRocksDB'] as const)
  : (['default'] as const);

void describe('a broker is added, lost, returned and forgotten under load', { skip }, () => {
  for (const storeType of storeTypes) {
    void test(
      `${rounds} rounds, storeType=${storeType}`,
      { timeout: rounds * roundMs },
      async (t) => {
        const run = await BrokerRounds.start(t, storeType === 'default' ? {} : { storeType });
        try {
          for (let round = 0; round < rounds; round += 1) await run.round();
        } finally {
          await run.stop();
        }
      },
    );
  }
});
