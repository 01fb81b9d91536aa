import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cursor } from '../src/cursor.ts';

void test('an offset that is done twice is done once, at the end of the list too', () => {
  const cursor = Cursor.at(0, 0);
  for (const offset of [53, 53, 105, 53, 105, 105]) cursor.markDone(offset);
  assert.deepEqual(cursor.done, [53, 105]);
});

void test('the same changes applied again, from any of them on, change nothing', () => {
  const change = fc.oneof(fc.record({ done: fc.nat(20) }), fc.record({ position: fc.nat(20) }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.nat(30), (changes, from) => {
      const cursor = Cursor.at(0, 0);
      const apply = (list: typeof changes): void => {
        for (const one of list)
          if ('done' in one) cursor.markDone(one.done);
          else cursor.moveTo(one.position);
      };
      apply(changes);
      const { position, done } = cursor.copy();
      assert.deepEqual(
        done,
        [...new Set(done)].toSorted((a, b) => a - b),
      );
      assert.ok(done.every((offset) => offset > position));
      apply(changes.slice(from));
      assert.deepEqual({ position: cursor.position, done: cursor.done }, { position, done });
    }),
    { seed: 1 },
  );
});
