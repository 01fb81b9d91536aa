import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pending, PendingConnections } from '../src/pending-connections.ts';

interface Crowd {
  readonly all: PendingConnections;
  /** Names of those that had to go, with the limit. */
  readonly gone: string[];
  readonly come: (name: string, address: string) => Pending;
}

function crowd(countMax: number, ofAddressMax: number, bytesMax = 1000): Crowd {
  const gone: string[] = [];
  let limit = '';
  const all = new PendingConnections({ countMax, ofAddressMax, bytesMax }, (reached) => {
    limit = reached;
  });
  const come = (name: string, address: string): Pending =>
    all.add(address, () => gone.push(`${name} ${limit}`));
  return { all, gone, come };
}

test('past the limit the oldest silent one of the address with the most goes, and nobody else', () => {
  const { all, gone, come } = crowd(4, 100);
  come('b1', '192.0.2.2');
  for (const name of ['a1', 'a2', 'a3']) come(name, '192.0.2.1');
  assert.deepEqual(gone, []);
  for (const name of ['c1', 'c2']) come(name, '192.0.2.3');
  assert.deepEqual(gone, ['a1 MAX_PENDING_CONNECTIONS', 'a2 MAX_PENDING_CONNECTIONS']);
  assert.equal(all.count, 4);
});

test('an address has a limit of its own, a /64 network of IPv6 counts as one', () => {
  const { gone, come } = crowd(100, 2);
  for (const name of ['a1', 'a2', 'a3']) come(name, `2001:db8::${name}`);
  come('b1', '2001:db8:0:1::1');
  assert.deepEqual(gone, ['a1 MAX_PENDING_PER_ADDRESS']);
});

test('one that has sent its CONNECT stays while a silent one can go; otherwise the newest goes', () => {
  const { all, gone, come } = crowd(3, 100);
  const asking = ['a1', 'a2'].map((name) => come(name, '192.0.2.1'));
  for (const each of asking) all.setAsks(each, true);
  come('a3', '192.0.2.1');
  come('b1', '192.0.2.2');
  assert.deepEqual(gone, ['a3 MAX_PENDING_CONNECTIONS']);
  come('b2', '192.0.2.2');
  assert.deepEqual(gone.slice(1), ['a2 MAX_PENDING_CONNECTIONS']);
  assert.equal(all.askingCount, 1);
  // In a flood of connections that ask, the oldest stay.
  const full = crowd(2, 100);
  for (const name of ['a1', 'a2']) full.all.setAsks(full.come(name, '192.0.2.1'), true);
  full.come('a3', '192.0.2.1');
  assert.deepEqual(full.gone, ['a2 MAX_PENDING_CONNECTIONS']);
  const alone = crowd(0, 100);
  alone.come('a1', '192.0.2.1');
  assert.deepEqual(alone.gone, ['a1 MAX_PENDING_CONNECTIONS']);
});

test('bytes are counted, and the one with the most of the worst address goes', () => {
  const { all, gone, come } = crowd(100, 100);
  const [a1, a2, b1] = [come('a1', '1.1.1.1'), come('a2', '1.1.1.1'), come('b1', '2.2.2.2')];
  all.grew(b1, 450);
  all.grew(a1, 400);
  all.grew(a2, 100);
  assert.deepEqual(gone, []);
  all.grew(a2, 100);
  assert.deepEqual(gone, ['a1 MAX_PENDING_BYTES']);
  all.remove(b1);
  all.remove(a2);
  assert.equal(all.count, 0);
  const only = come('only', '1.1.1.1');
  all.grew(only, 5000);
  assert.equal(gone.length, 1, 'one alone may have more');
});
