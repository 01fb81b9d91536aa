import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inPortions, portionMax, turnMax } from '../src/in-portions.ts';
import { nextTurn } from '../src/pause.ts';

function list(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Counts work by turns of the event loop. */
class WorkByTurn {
  most = 0;
  all = 0;
  #ofTurn = 0;

  note(): void {
    if (this.#ofTurn === 0)
      setImmediate(() => {
        this.#ofTurn = 0;
      });
    this.#ofTurn += 1;
    this.all += 1;
    this.most = Math.max(this.most, this.#ofTurn);
  }
}

test('few items are worked on at once', async () => {
  await nextTurn();
  const seen: number[] = [];
  assert.equal(
    inPortions(list(portionMax), (item) => seen.push(item)),
    undefined,
  );
  assert.deepEqual(seen, list(portionMax));
  assert.equal(
    inPortions([], () => seen.push(0)),
    undefined,
  );
});

test('the items of many owners share the work of a turn, each in its order', async () => {
  await nextTurn();
  const work = new WorkByTurn();
  const seen = list(100).map((): number[] => []);
  const owners = list(100).map((owner) =>
    inPortions(list(owner % 2 === 0 ? portionMax : 5 * portionMax), (item) => {
      work.note();
      seen[owner]!.push(item);
    }),
  );
  assert.ok(owners.some((end) => end !== undefined));
  for (const end of owners) await end;
  assert.ok(work.most <= 2 * turnMax, `${work.most} in one turn`);
  for (const [owner, items] of seen.entries())
    assert.deepEqual(items, list(owner % 2 === 0 ? portionMax : 5 * portionMax));
});

test('items as they were when the work began', async () => {
  const items = list(3 * portionMax);
  const seen: number[] = [];
  const end = inPortions(items, (item) => seen.push(item));
  items.length = 0;
  await end;
  assert.deepEqual(seen, list(3 * portionMax));
});

test('work that fails ends its own items alone', async () => {
  const failing = inPortions(list(3 * portionMax), (item) => {
    if (item === 2 * portionMax) throw new Error('broken');
  });
  let count = 0;
  const other = inPortions(list(3 * portionMax), () => (count += 1));
  await assert.rejects(failing!, /broken/);
  await other;
  assert.equal(count, 3 * portionMax);
});
