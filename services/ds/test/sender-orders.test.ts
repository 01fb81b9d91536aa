// Appends on their way to a broker that refuses, loses and forgets in any order, and is cut off: what is
// acknowledged is stored, at QoS 2 once, and each lane is stored and answered in its order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Append } from '../src/queue-store/queue-store.ts';
import type { MovedClock } from './moved-clock.ts';
import { inAnyOrder } from './random-orders.ts';
import type { Fate } from './scripted-broker.ts';
import { ScriptedStore, topic } from './scripted-store.ts';

/** Each has a broker of its own, over sockets. */
const ordersCount = 15;
const systemBusy = 2;
const messageIllegal = 13;

type Step =
  | { readonly kind: 'append'; readonly lane: number; readonly qos: 1 | 2; readonly count: number }
  | { readonly kind: 'fates'; readonly fates: readonly Fate[] }
  | { readonly kind: 'cut' | 'wait' };

const fate = fc.constantFrom<Fate>('stored', systemBusy, messageIllegal, 'unanswered', 'lost');
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      ...{ lane: fc.nat({ max: 1 }), qos: fc.constantFrom<1 | 2>(1, 2) },
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fates' as const),
      fates: fc.array(fate, { maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut', 'wait') }) },
);

class Run {
  readonly #clock: MovedClock;
  readonly #scripted: ScriptedStore;
  readonly #all: Append[] = [];
  readonly #answered: Append[] = [];
  readonly #fates: Fate[] = [];

  constructor(clock: MovedClock) {
    this.#clock = clock;
    this.#scripted = new ScriptedStore({ pipelineMax: 4 }, undefined, clock);
    this.#scripted.broker.fate = ({ properties }) =>
      properties.get('TAGS') === 'LMQTT_MARK' ? 'stored' : (this.#fates.shift() ?? 'stored');
  }

  async begin(): Promise<void> {
    await this.#scripted.broker.start();
    await this.#until(this.#scripted.start());
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'append') this.#append(step.lane, step.qos, step.count);
    else if (step.kind === 'fates') this.#fates.push(...step.fates);
    else if (step.kind === 'cut') this.#scripted.broker.cut();
    await this.#clock.move(step.kind === 'wait' ? 100 : 10);
  }

  async end(): Promise<void> {
    const { broker } = this.#scripted;
    this.#fates.length = 0;
    for (let n = 0; n < 20_000 && this.#answered.length < this.#all.length; n += 1)
      await this.#clock.move(20);
    assert.equal(this.#answered.length, this.#all.length, 'not all is answered');
    const stored = broker.storedIn(topic).map(({ text }) => text);
    for (const lane of ['lane-0', 'lane-1']) {
      const ours = (appends: readonly Append[]): Append[] =>
        appends.filter((append) => append.lane === lane);
      assert.deepEqual(ours(this.#answered), ours(this.#all), 'answered in its order');
      const kept = ours(this.#all).filter(({ reasonCode }) => reasonCode === 0);
      // The last place of each, since at QoS 1 one may be stored again, with all behind it.
      const places = kept.map((append) => stored.lastIndexOf(textOf(append)));
      for (const [n, place] of places.entries()) {
        assert.ok(place >= 0, `${textOf(kept[n]!)} is not stored`);
        assert.ok(n === 0 || place > places[n - 1]!, `${textOf(kept[n]!)} is out of order`);
      }
    }
    for (const append of this.#all) {
      if (append.message.qos !== 2 || append.reasonCode !== 0) continue;
      const count = stored.filter((text) => text === textOf(append)).length;
      assert.equal(count, 1, `${textOf(append)} is stored ${count} times`);
    }
  }

  async close(): Promise<void> {
    await this.#until(this.#scripted.close());
    await this.#scripted.broker.close();
  }

  #append(lane: number, qos: 1 | 2, count: number): void {
    const batch = Array.from({ length: count }, (_, n) =>
      this.#scripted.make(`lane-${lane}`, `${this.#all.length + n}`, qos),
    );
    this.#all.push(...batch);
    this.#scripted.store.append(batch, (answered) => this.#answered.push(...answered));
  }

  async #until(done: Promise<void>): Promise<void> {
    let isDone = false;
    void done.finally(() => (isDone = true));
    while (!isDone) await this.#clock.move(10);
    await done;
  }
}

const textOf = ({ message }: Append): string => message.payload.toString();

void test('in any order of refusals, losses and cuts what is acknowledged is stored, in its order', async () => {
  const search = async (steps: readonly Step[], clock: MovedClock): Promise<void> => {
    const run = new Run(clock);
    await run.begin();
    try {
      for (const step of steps) await run.step(step);
      await run.end();
    } finally {
      await run.close();
    }
  };
  await inAnyOrder(stepArbitrary, 12, search, ordersCount);
});
