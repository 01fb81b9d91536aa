// A takeover ends the connection that had the session, and no other: not one that a node has given
// the same number to since it was killed and started again.
import { describe, test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite();
const properties = { sessionExpiryInterval: 600 };

function list<T>(count: number, item: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

void describe('takeovers after kill -9', () => {
  void test('sessions of before are taken over, and nobody else is', async () => {
    const names = list(6, () => unique('before'));
    for (const clientId of names) await suite.client({ version: 5, clientId, properties });
    await suite.broker.kill();
    await suite.broker.restart();
    const others = await Promise.all(list(12, () => suite.client({ version: 5 })));
    const back = { version: 5, clean: false, sessionPresent: true, properties } as const;
    const again = await Promise.all(names.map((clientId) => suite.client({ ...back, clientId })));
    for (const client of [...others, ...again]) await client.ping();
  });
});
