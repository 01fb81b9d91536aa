import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CheckTurns, type CheckAsker } from '../src/auth/check-turns.ts';

function asker(address: string, user: string, isWanted = (): boolean => true): CheckAsker {
  return { address, user, isWanted };
}

/** Checks that end when they are told to, and the names of those that began. */
class Checks {
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  readonly of = (name: string) => (): Promise<string> => {
    this.begun.push(name);
    return new Promise((resolve) => this.#ends.push(() => resolve(name)));
  };

  async endOne(): Promise<void> {
    this.#ends.shift()!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('CheckTurns', () => {
  it('lets addresses take turns, and the users of an address', async () => {
    const turns = new CheckTurns({ atOnce: 1, waitingMax: 100 });
    const checks = new Checks();
    const all: Promise<unknown>[] = [];
    const ask = (address: string, user: string, name: string): void => {
      all.push(turns.take(asker(address, user), checks.of(name)));
    };
    for (let count = 0; count < 5; count += 1) ask('a', 'x', `a x ${count}`);
    ask('a', 'y', 'a y');
    ask('b', 'x', 'b x');
    for (let count = 0; count < all.length; count += 1) await checks.endOne();
    assert.deepEqual(checks.begun, ['a x 0', 'a x 1', 'b x', 'a y', 'a x 2', 'a x 3', 'a x 4']);
    await Promise.all(all);
    assert.equal(turns.waiting, 0);
  });

  it('leaves out what nobody waits for', async () => {
    const turns = new CheckTurns({ atOnce: 1, waitingMax: 100 });
    const checks = new Checks();
    let wanted = true;
    const first = turns.take(asker('a', 'x'), checks.of('first'));
    const gone = turns.take(
      asker('a', 'x', () => wanted),
      checks.of('gone'),
    );
    const last = turns.take(asker('a', 'x'), checks.of('last'));
    wanted = false;
    await checks.endOne();
    assert.equal(await gone, 'busy');
    await checks.endOne();
    assert.deepEqual([await first, await last], ['first', 'last']);
    assert.deepEqual(checks.begun, ['first', 'last']);
  });

  it('refuses the newest of the address that has the most, once those that are gone have left', async () => {
    let refused = 0;
    const turns = new CheckTurns({ atOnce: 1, waitingMax: 3, onFull: () => (refused += 1) });
    const checks = new Checks();
    const first = turns.take(asker('a', 'x'), checks.of('first'));
    let wanted = true;
    const gone = turns.take(
      asker('b', 'x', () => wanted),
      checks.of('gone'),
    );
    const old = turns.take(asker('a', 'x'), checks.of('old'));
    const newer = turns.take(asker('a', 'x'), checks.of('newer'));
    wanted = false;
    const other = turns.take(asker('c', 'x'), checks.of('other'));
    assert.equal(await gone, 'busy');
    assert.equal(refused, 0);
    const another = turns.take(asker('d', 'x'), checks.of('another'));
    assert.equal(await newer, 'busy');
    assert.equal(refused, 1);
    for (let count = 0; count < 4; count += 1) await checks.endOne();
    assert.deepEqual(await Promise.all([first, old, other, another]), [
      'first',
      'old',
      'other',
      'another',
    ]);
  });

  it('gives the turn on where a check fails', async () => {
    const turns = new CheckTurns({ atOnce: 1, waitingMax: 1 });
    const failed = turns.take(asker('a', 'x'), () => Promise.reject(new Error('no memory')));
    const next = turns.take(asker('a', 'x'), () => Promise.resolve('next'));
    await assert.rejects(failed, /no memory/);
    assert.equal(await next, 'next');
  });
});
