import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Timed } from '../src/wheel.ts';
import { Wheel } from '../src/wheel.ts';

class Entry implements Timed {
  dueTick = -1;
  slotIndex = 0;
  readonly calls: number[] = [];
  again: () => number = () => 0;

  due(nowMs: number): number {
    this.calls.push(nowMs);
    return this.again();
  }
}

const tickMs = 100;

/** Tick by tick, as a timer would. */
function run(wheel: Wheel, fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += tickMs) wheel.advance(nowMs);
}

describe('timing wheel', () => {
  test('each is called once, between its time and a tick later, also rounds later', () => {
    const wheel = new Wheel(tickMs, 0);
    const afters = [1, 99, 100, 101, 5000, 51_200, 51_201, 200_000];
    const entries = afters.map((afterMs) => {
      const entry = new Entry();
      wheel.add(entry, afterMs, 0);
      return entry;
    });
    run(wheel, 0, 300_000);
    for (const [index, entry] of entries.entries()) {
      const [atMs = 0] = entry.calls;
      const afterMs = afters[index] ?? 0;
      assert.equal(entry.calls.length, 1);
      assert.ok(atMs >= afterMs && atMs <= afterMs + tickMs, `${afterMs}: ${atMs}`);
    }
  });

  test('what asks for another time gets it', () => {
    const wheel = new Wheel(tickMs, 0);
    const entry = new Entry();
    entry.again = () => (entry.calls.length < 3 ? 1000 : 0);
    wheel.add(entry, 500, 0);
    run(wheel, 0, 10_000);
    assert.deepEqual(entry.calls, [500, 1500, 2500]);
  });

  test('a call may remove and add others that are due at the same tick', () => {
    const wheel = new Wheel(tickMs, 0);
    const [first, second, third] = [new Entry(), new Entry(), new Entry()];
    first.again = () => {
      wheel.remove(second);
      wheel.add(third, 1000, 200);
      wheel.remove(first);
      return 0;
    };
    for (const entry of [first, second, third]) wheel.add(entry, 200, 0);
    run(wheel, 0, 5000);
    assert.deepEqual([first.calls, second.calls, third.calls], [[200], [], [1200]]);
  });

  test('any order of adding, moving and removing: the last word counts', () => {
    const step = fc.record({
      who: fc.nat(9),
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 120_000 })),
      passMs: fc.constantFrom(0, 0, 100, 700),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const wheel = new Wheel(tickMs, 0);
        const entries = Array.from({ length: 10 }, () => new Entry());
        const expected = new Map<Entry, number>();
        let nowMs = 0;
        for (const { who, afterMs, passMs } of steps) {
          const entry = entries[who];
          if (!entry) continue;
          if (afterMs === 0) {
            wheel.remove(entry);
            expected.delete(entry);
          } else {
            wheel.add(entry, afterMs, nowMs);
            expected.set(entry, nowMs + afterMs);
          }
          entry.calls.length = 0;
          run(wheel, nowMs, nowMs + passMs);
          nowMs += passMs;
          for (const [waiting] of expected) if (waiting.calls.length > 0) expected.delete(waiting);
          for (const each of entries) each.calls.length = 0;
        }
        run(wheel, nowMs, nowMs + 130_000);
        for (const entry of entries) {
          const dueMs = expected.get(entry);
          assert.equal(entry.calls.length, dueMs === undefined ? 0 : 1);
          const [atMs = 0] = entry.calls;
          if (dueMs !== undefined) assert.ok(atMs >= dueMs && atMs <= dueMs + tickMs);
        }
      }),
      { numRuns: 300 },
    );
  });
});
