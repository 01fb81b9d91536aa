// A tail under random orders of answers, losses and pauses: what the queue store promises of
// arrivals.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MovedClock, turns } from './moved-clock.ts';
import { pullMessages, type ScriptedQueue, TailFixture } from './tail-fixture.ts';
import { inAnyOrder } from './random-orders.ts';

type Step =
  | { readonly kind: 'store'; readonly count: number; readonly isFiltered: boolean }
  | { readonly kind: 'answer'; readonly at: number; readonly max: number }
  | { readonly kind: 'fail'; readonly at: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'cut' | 'up' | 'suspect' | 'refuse sending on' | 'hold sending on' }
  | { readonly kind: 'let go'; readonly at: number; readonly stored: boolean }
  | { readonly kind: 'lose' | 'remove'; readonly count: number };

const at = fc.nat({ max: 6 });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      count: fc.integer({ min: 1, max: 90 }),
      isFiltered: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      at,
      max: fc.integer({ min: 1, max: pullMessages }),
    }),
  },
  fc.record({ kind: fc.constant('fail' as const), at }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(5, 25, 200, 90_000) }),
  fc.record({ kind: fc.constantFrom('cut', 'up', 'suspect', 'refuse sending on') }),
  fc.record({ kind: fc.constantFrom('suspect', 'hold sending on') }),
  fc.record({ kind: fc.constant('let go' as const), at, stored: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom('lose', 'remove'),
    count: fc.integer({ min: 1, max: 40 }),
  }),
);

/** Drives a tail by random steps, and keeps what the broker has stored beside what was told. */
class Run {
  readonly fixture: TailFixture;
  readonly #queue: ScriptedQueue;
  /** Answers to what is sent on, which are held back. */
  readonly #held: ((isStored: boolean) => void)[] = [];
  #count = 0;
  /** The broker has lost something, and takes nothing until the tail has heard of it. */
  #isQuiet = false;

  constructor(clock: MovedClock) {
    this.fixture = new TailFixture(clock, 0, 3);
    this.#queue = this.fixture.queue;
  }

  async step(step: Step): Promise<void> {
    const { fixture } = this;
    const queue = this.#queue;
    switch (step.kind) {
      case 'store':
        if (!this.#isQuiet) this.#store(step.count, step.isFiltered);
        break;
      case 'answer':
        if (queue.asked.length > 0) queue.answer(step.at % queue.asked.length, step.max);
        break;
      case 'fail':
        if (queue.asked.length > 0) queue.fail(step.at % queue.asked.length);
        break;
      case 'wait':
        await fixture.clock.move(step.ms);
        break;
      case 'cut':
        queue.cut();
        break;
      case 'up':
        queue.up = true;
        break;
      case 'suspect':
        if (this.#isQuiet) break;
        this.#store(1, false);
        fixture.missed.add(`${this.#count - 1}`);
        break;
      case 'refuse sending on':
        fixture.sendOn = () => {
          fixture.sendOn = () => Promise.resolve();
          return Promise.reject(new Error('refused'));
        };
        break;
      case 'hold sending on':
        fixture.sendOn = () =>
          new Promise((resolve, reject) =>
            this.#held.push((isStored) => (isStored ? resolve() : reject(new Error('refused')))),
          );
        break;
      case 'let go':
        this.#held.splice(step.at % Math.max(1, this.#held.length), 1)[0]?.(step.stored);
        break;
      case 'lose':
        this.#lose(step.count);
        break;
      case 'remove':
        // Only what was told, as a broker that keeps messages long enough.
        queue.min = Math.max(
          queue.min,
          Math.min(fixture.tail.position, queue.kept.length) - step.count,
        );
        break;
      default:
        break;
    }
    await turns();
    this.#check();
  }

  /** Everything goes well from now on: all that is stored has been told. */
  async end(): Promise<void> {
    const { fixture } = this;
    this.#queue.up = true;
    fixture.sendOn = () => Promise.resolve();
    for (const answer of this.#held.splice(0)) answer(true);
    for (let n = 0; n < 4; n += 1) {
      await fixture.clock.move(250);
      await fixture.answerAll();
    }
    this.#check();
    assert.equal(fixture.tail.position, this.#queue.kept.length);
    assert.equal(fixture.tail.lag, 0);
    fixture.tail.stop();
  }

  #store(count: number, isFiltered: boolean): void {
    if (this.#isQuiet) return;
    for (let n = 0; n < count; n += 1) {
      this.#queue.store(`${this.#count}`, isFiltered);
      this.#count += 1;
    }
  }

  /** The broker is killed, and comes back without what it had not written to its disk. */
  #lose(count: number): void {
    const queue = this.#queue;
    queue.cut();
    queue.kept.length = Math.max(queue.min, queue.kept.length - count);
    // What is lost may be on its way to where it is sent on: the tail hears of it when that is done.
    this.#isQuiet = this.fixture.tail.position > queue.kept.length || this.#held.length > 0;
  }

  /** Messages stored below the position were told, each once except those that were read again. */
  #check(): void {
    const { tail, told, missed } = this.fixture;
    const { kept, min } = this.#queue;
    if (tail.position > kept.length || (this.#isQuiet && this.#held.length > 0)) return;
    this.#isQuiet = false;
    const toldOnes = new Set(told);
    for (let offset = min; offset < tail.position; offset += 1) {
      const { text, isFiltered } = kept[offset]!;
      assert.ok(isFiltered || toldOnes.has(text), `${text} at ${offset} was not told`);
      assert.ok(!missed.has(text), `${text} was not sent on`);
    }
    if (this.fixture.moves.length > 0) return;
    assert.equal(told.length, toldOnes.size, 'told twice');
    assert.deepEqual(
      told,
      [...told].sort((a, b) => Number(a) - Number(b)),
    );
  }
}

void test('in any order of answers, losses and pauses all is told, in order and below the position', async () => {
  await inAnyOrder(stepArbitrary, 40, async (steps, clock) => {
    const run = new Run(clock);
    for (const step of steps) await run.step(step);
    await run.end();
  });
});
