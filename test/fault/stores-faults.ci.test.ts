// A ds, a cs and Redis die, one after another: under CI, since the JVMs alone take a while.
import { test } from 'node:test';
import { killCs, killDs, killRedis } from './stores-faults.ts';
import { tryEach } from './stores-trial.ts';

if (process.env['CI'] === 'true')
  tryEach([killDs, killCs, killRedis], { runs: 1, together: true, small: true });
else void test('faults on real stores', { skip: 'with CI=true, or npm run test:fault' });
