// Nodes that were killed and are started again under their names: what is still known of their last
// run is not taken for them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isCluster } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

/** Settings for a busy machine, whose processes may stand still for a while. */
const settings: Record<string, string> = isCluster ? { LEASE_MS: '8s' } : {};
const suite = new Suite({ settings });
const properties = { sessionExpiryInterval: 600 };

function list<T>(count: number, item: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

void describe('a node that was killed comes back', () => {
  void test('sessions of before are taken over, and nobody else is closed', async () => {
    const names = list(6, () => unique('before'));
    for (const clientId of names) await suite.client({ version: 5, clientId, properties });
    await suite.broker.kill();
    await suite.broker.restart();
    const others = await Promise.all(list(12, () => suite.client({ version: 5 })));
    const back = { version: 5, clean: false, sessionPresent: true, properties } as const;
    const again = await Promise.all(names.map((clientId) => suite.client({ ...back, clientId })));
    for (const client of [...others, ...again]) await client.ping();
    assert.doesNotMatch(
      suite.broker.logs(),
      /"node gone"/,
      'the end of the last run is not theirs',
    );
  });
});
