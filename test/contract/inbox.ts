import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import type { DsMessage } from '@lmqtt/ds/registry/inbox';
import { eventually, type RegistryUnderTest } from './registry-ds.ts';

/** Checks each sentence of the comment of the port. */
export function inboxContract(name: string, make: (t: TestContext) => RegistryUnderTest): void {
  void test(`${name}: messages arrive in the order in which they were sent`, async (t) => {
    const under = make(t);
    const a = await (await under.ds('a')).start();
    const b = await (await under.ds('b')).start();
    const c = await (await under.ds('c')).start();
    const got: [string, DsMessage][] = [];
    c.registry.inbox.onMessage((from, message) => got.push([from, message]));
    a.registry.inbox.send(b.id, { kind: 'to', use: 'none', body: 'of c' });
    for (let turn = 0; turn < 10; turn += 1) {
      for (const from of [a, b]) {
        for (let n = 0; n < 10; n += 1) {
          from.registry.inbox.send(c.id, { kind: 'to', use: 'count', body: { n: turn * 10 + n } });
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    a.registry.inbox.send(c.id, { kind: 'ended', clientId: clientId('é\n') });
    await eventually(() => got.length === 201, 'all');
    for (const from of ['a', 'b']) {
      const counted = got
        .filter(([sender, { kind }]) => sender === from && kind === 'to')
        .map(([, message]) => (message.kind === 'to' ? message.body : undefined));
      assert.deepEqual(
        counted,
        Array.from({ length: 100 }, (_, n) => ({ n })),
      );
    }
    assert.deepEqual(got.find(([, { kind }]) => kind === 'ended')?.[1], {
      kind: 'ended',
      clientId: 'é\n',
    });
  });
}
