import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldLanes } from '@lmqtt/ds/use-cases/held-lanes';

interface Named {
  readonly lane: string;
  readonly name: string;
}

const of = (lane: string, name: string): Named => ({ lane, name });

void test('what waits is followed by what came after it, in order; other lanes go by', () => {
  const released: string[][] = [];
  const held = new HeldLanes<Named>((appends) => released.push(appends.map(({ name }) => name)));
  assert.equal(held.has('a'), false);
  const first = held.hold(of('a', '1'));
  held.follow(of('a', '2'));
  const third = held.hold(of('a', '3'));
  held.follow(of('a', '4'));
  const other = held.hold(of('b', '5'));
  assert.equal(held.has('a'), true);

  third('goes');
  assert.deepEqual(released, []);
  other('goes');
  assert.deepEqual(released, [['5']]);
  assert.equal(held.has('b'), false);
  first('over');
  assert.deepEqual(released, [['5'], ['2', '3', '4']]);
  assert.equal(held.has('a'), false);
});

void test('what follows goes up to the next that waits', () => {
  const released: string[] = [];
  const held = new HeldLanes<Named>((appends) => released.push(...appends.map(({ name }) => name)));
  const first = held.hold(of('a', '1'));
  held.follow(of('a', '2'));
  const third = held.hold(of('a', '3'));
  first('goes');
  assert.deepEqual(released, ['1', '2']);
  assert.equal(held.has('a'), true);
  third('over');
  assert.deepEqual(released, ['1', '2']);
  assert.equal(held.has('a'), false);
});
