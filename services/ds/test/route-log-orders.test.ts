// Logs of routes of several ds under random orders of requests, words and losses of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeId } from '@lmqtt/common/ids';
import { type MovedClock, turns } from './moved-clock.ts';
import { inAnyOrder } from './random-orders.ts';
import { type RouteDs, RouteFixture } from './route-fixture.ts';

const names = ['a', 'b', 'c'];
const nodes = ['cs-1', 'cs-2'];

type Step =
  | {
      readonly kind: 'open' | 'uninterested';
      readonly ds: number;
      readonly name: number;
      readonly cs: number;
      readonly isHeld: boolean;
    }
  | { readonly kind: 'hear' | 'silence' | 'gap'; readonly ds: number; readonly count: number }
  | { readonly kind: 'lost' | 'unanswered'; readonly ds: number }
  | { readonly kind: 'trim' | 'renew' }
  | { readonly kind: 'wait'; readonly ms: number };

const two = fc.nat({ max: 1 });
const count = fc.integer({ min: 1, max: 3 });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('open', 'open', 'uninterested'),
      ...{ ds: two, name: fc.nat({ max: 2 }), cs: two, isHeld: fc.boolean() },
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('hear' as const), ds: two, count }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('silence', 'gap'), ds: two, count }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('lost', 'unanswered'), ds: two }) },
  fc.record({ kind: fc.constantFrom('trim', 'renew') }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(20, 60, 200) }),
);

class Run {
  readonly #at: RouteFixture;
  /** `ds name cs`: whether it was asked for last, and how many openings are under way. */
  readonly #wanted = new Map<string, boolean>();
  readonly #underWay = new Map<string, number>();
  readonly #ids = new Map<string, number>();
  #failure: unknown;

  constructor(clock: MovedClock) {
    this.#at = new RouteFixture(clock);
  }

  async begin(): Promise<void> {
    await this.#at.start();
  }

  async step(step: Step): Promise<void> {
    const { all, clock, registry } = this.#at;
    switch (step.kind) {
      case 'open':
        void this.#open(all[step.ds]!, names[step.name]!, nodes[step.cs]!, step.isHeld);
        break;
      case 'uninterested':
        this.#uninterested(all[step.ds]!, names[step.name]!, nodes[step.cs]!);
        break;
      case 'hear':
        all[step.ds]!.connection.hear(step.count);
        break;
      case 'silence':
        all[step.ds]!.connection.words.splice(0, step.count);
        break;
      case 'gap':
        all[step.ds]!.connection.lose();
        break;
      case 'trim':
        registry.trim();
        break;
      case 'renew':
        this.#at.renew();
        break;
      case 'wait':
        await clock.move(step.ms);
        break;
      default:
        all[step.ds]!.connection.fates.push(step.kind);
        break;
    }
    await turns();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** All requests are answered from now on: each ds knows what the registry has, and it is right. */
  async end(): Promise<void> {
    const at = this.#at;
    for (const { connection } of at.all) connection.fates.length = 0;
    for (let n = 0; n < 4; n += 1) {
      at.renew();
      await at.quiet();
      await at.clock.move(200);
    }
    if (this.#failure !== undefined) throw this.#failure;
    for (const [name, openings] of this.#underWay) assert.equal(openings, 0, `${name} is open`);
    for (const ds of at.all) ds.check();
    const wanted = [...this.#wanted].filter(([, isWanted]) => isWanted).map(([name]) => name);
    const [one] = at.all;
    const known = [...one!.interest].map((text) => {
      const [queue, cs, ds] = text.split(' ');
      return `${ds} ${at.registry.queues.get(Number(queue))!.name} ${cs}`;
    });
    assert.deepEqual(known.toSorted(), wanted.toSorted());
    at.close();
  }

  async #open(ds: RouteDs, name: string, cs: string, isHeld: boolean): Promise<void> {
    const key = `${ds.id} ${name} ${cs}`;
    this.#wanted.set(key, true);
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    const holder = isHeld ? `client ${cs}` : undefined;
    try {
      const [queue] = await ds.open(name, cs, holder);
      this.#opened(name, queue!, `${queue} ${cs} ${ds.id}`);
    } catch (error) {
      this.#failure ??= error;
    }
    this.#underWay.set(key, this.#underWay.get(key)! - 1);
  }

  /** It is routed at every ds by now. */
  #opened(name: string, queue: number, interest: string): void {
    assert.equal(this.#ids.get(name) ?? queue, queue, 'another queue of that name');
    this.#ids.set(name, queue);
    for (const ds of this.#at.all)
      assert.ok(ds.interest.has(interest), `${ds.id} does not know ${interest}`);
  }

  /** As the last session of the cs goes, while none is being subscribed. */
  #uninterested(ds: RouteDs, name: string, cs: string): void {
    const key = `${ds.id} ${name} ${cs}`;
    if (this.#wanted.get(key) !== true || (this.#underWay.get(key) ?? 0) > 0) return;
    this.#wanted.set(key, false);
    const queue = [...ds.queues].find(([, known]) => known === name)![0];
    ds.log.uninterested(queue, nodeId(cs));
  }
}

void test('in any order of requests, words and losses a subscribe goes on when it is routed everywhere', async () => {
  await inAnyOrder(stepArbitrary, 40, async (steps, clock) => {
    const run = new Run(clock);
    await run.begin();
    for (const step of steps) await run.step(step);
    await run.end();
  });
});
