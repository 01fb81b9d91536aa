import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup } from '../src/address-group.ts';
import { FairQueue } from '../src/fair-queue.ts';

function filled(): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.add(item[0]!, item);
  return queue;
}

test('groups take turns, each in its order', () => {
  const queue = filled();
  const taken = Array.from({ length: 7 }, () => queue.take());
  assert.deepEqual(taken, ['a1', 'b1', 'c1', 'a2', 'c2', 'a3', undefined]);
  assert.equal(queue.size, 0);
});

test('a group that may not is passed over and keeps its place', () => {
  const queue = filled();
  assert.equal(
    queue.take((group) => group !== 'a'),
    'b1',
  );
  assert.equal(queue.take(), 'a1');
  assert.equal(
    queue.take((group) => group === 'x'),
    undefined,
  );
});

test('what leaves early is counted no more', () => {
  const queue = filled();
  assert.equal(queue.largest, 'a');
  assert.equal(queue.takeNewest('a'), 'a3');
  assert.equal(queue.remove('c', 'c1'), true);
  assert.equal(queue.remove('c', 'c1'), false);
  assert.deepEqual(
    queue.filter((item) => item !== 'b1'),
    ['b1'],
  );
  assert.deepEqual([queue.size, queue.sizeOf('a'), queue.sizeOf('b')], [3, 2, 0]);
  assert.deepEqual([queue.take(), queue.take(), queue.take()], ['a1', 'c2', 'a2']);
});

test('an address counts as the part that one subscriber of a network has', () => {
  const groups = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['', ''],
  ];
  for (const [address, group] of groups) assert.equal(addressGroup(address!), group, address);
});
