import { test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { fuzz, fuzzEnv, fuzzSettings } from './fuzz.ts';
import { seedOfRun } from './random.ts';

const suite = new Suite({ settings: fuzzSettings, env: fuzzEnv });

const packetCount = 20_000;

test(`${packetCount} generated and changed packets: up, memory flat, others served`, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`seed ${seed} (FUZZ_SEED)`);
  const report = await fuzz(suite.broker, { packetCount, seed, grownBytesMax: 64 << 20 });
  t.diagnostic(JSON.stringify(report));
});
