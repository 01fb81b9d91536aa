// An owned group under random orders of words, losses and deaths: no message is with two clients,
// none at QoS 2 goes to a second one, and all are done in the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientId } from '@lmqtt/common/ids';
import { GroupFixture } from './group-fixture.ts';
import { Client, csNames, homes, qosAt } from './group-members.ts';
import type { MovedClock } from './moved-clock.ts';
import { inAnyOrder } from './random-orders.ts';

type Step =
  | { readonly kind: 'store' | 'pass'; readonly count: number }
  | {
      readonly kind: 'hear' | 'home ends' | 'restate';
      readonly home: number;
      readonly count: number;
    }
  | { readonly kind: 'deliver' | 'cut' | 'attach'; readonly cs: number; readonly count: number }
  | {
      readonly kind: 'connect' | 'disconnect' | 'end' | 'send' | 'ack';
      readonly client: number;
      readonly home: number;
      readonly cs: number;
    }
  | { readonly kind: 'present' | 'new owner' | 'stores away' | 'stores back' };

const two = fc.nat({ max: 1 });
const few = fc.integer({ min: 1, max: 4 });
const client = fc.nat({ max: 2 });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('store', 'pass'), count: few }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('hear' as const), home: two, count: few }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), cs: two, count: few }),
  },
  fc.record({ kind: fc.constantFrom('cut', 'attach'), cs: two, count: few }),
  fc.record({ kind: fc.constantFrom('home ends', 'restate'), home: two, count: few }),
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('connect', 'disconnect', 'end', 'send', 'send', 'send', 'ack', 'ack'),
      ...{ client, home: two, cs: two },
    }),
  },
  fc.record({ kind: fc.constantFrom('present', 'new owner', 'stores away', 'stores back') }),
);

class Run {
  readonly at: GroupFixture;
  readonly #clients = ['a', 'b', 'c'].map((name) => new Client(clientId(name)));
  /** At QoS 2, who has sent it. */
  readonly #sentBy = new Map<number, Client>();
  readonly #done = new Set<number>();
  #passedMs = 0;

  constructor(clock: MovedClock) {
    this.at = new GroupFixture(clock, this.#clients);
  }

  /** Two clients are seated, and messages are given. */
  async begin(): Promise<void> {
    const { at } = this;
    await at.pass(50);
    for (const home of homes) await at.hear(home);
    await at.pass(50);
    for (const [n, home] of homes.entries()) {
      at.connect(this.#clients[n]!, home, csNames[n]);
      await at.hear(home);
    }
    assert.equal(at.owned.isGiving, true);
    for (let n = 0; n < 6; n += 1) at.store();
  }

  async step(step: Step): Promise<void> {
    const { at } = this;
    switch (step.kind) {
      case 'store':
        for (let n = 0; n < step.count; n += 1) at.store();
        break;
      case 'pass':
        await this.#pass(step.count === 4 ? 600 : step.count * 50);
        break;
      case 'hear':
        await at.hear(homes[step.home]!, step.count);
        break;
      case 'deliver':
        at.deliver(csNames[step.cs]!, step.count);
        break;
      case 'cut':
        at.cut(csNames[step.cs]!);
        break;
      case 'attach':
        at.attach(csNames[step.cs]!);
        break;
      case 'home ends':
        // One is left.
        if (at.alive.size === 2) at.homeEnds(homes[step.home]!);
        break;
      case 'restate':
        if (at.alive.has(homes[step.home]!)) at.restate(homes[step.home]!);
        break;
      case 'present':
        this.#presentAll();
        break;
      case 'new owner':
        at.newOwner();
        break;
      case 'stores away':
        at.stores.isAway = true;
        break;
      case 'stores back':
        at.stores.isAway = false;
        break;
      default:
        this.#clientStep(step.kind, this.#clients[step.client]!, step.home, step.cs);
        break;
    }
    await at.clock.move(0);
  }

  /** Less in all than the time after which a cs that has not answered holds up nobody. */
  async #pass(ms: number): Promise<void> {
    if (this.#passedMs > 8000) return;
    this.#passedMs += ms;
    await this.at.pass(ms);
  }

  #clientStep(
    kind: 'connect' | 'disconnect' | 'end' | 'send' | 'ack',
    one: Client,
    home: number,
    cs: number,
  ): void {
    const { at } = this;
    const isHere = one.state === 'connected' && !one.isHomeless;
    const place = at.alive.has(homes[home]!) ? homes[home]! : homes[1 - home]!;
    if (kind === 'connect') {
      if (isHere) at.disconnect(one);
      at.connect(one, place, csNames[cs]);
    } else if (!isHere) return;
    else if (kind === 'disconnect') at.disconnect(one);
    else if (kind === 'end') {
      for (const [offset, { qos }] of one.outs) if (qos === 2) this.#done.add(offset);
      at.end(one);
    } else if (kind === 'send') this.#send(one);
    else {
      const [offset] = one.outs.keys();
      if (offset !== undefined) this.#done.add(offset);
      at.ack(one);
    }
  }

  #send(one: Client): void {
    const offset = one.send();
    if (offset === undefined) return;
    for (const other of this.#clients)
      assert.ok(other === one || !other.outs.has(offset), `${offset} is with two clients`);
    if (qosAt(offset) === 1) return;
    assert.equal(this.#sentBy.get(offset) ?? one, one, `${offset} went to a second client`);
    assert.ok(!this.#done.has(offset), `${offset} was done`);
    this.#sentBy.set(offset, one);
  }

  #presentAll(): void {
    const { at } = this;
    for (const one of this.#clients)
      if (one.state === 'connected' && one.isHomeless)
        at.present(one, at.alive.has(homes[0]!) ? homes[0]! : homes[1]!);
  }

  /** All nodes are well, and all clients are there and take what they are given. */
  async end(): Promise<void> {
    const { at } = this;
    at.stores.isAway = false;
    for (const home of homes) at.alive.add(home);
    this.#presentAll();
    for (const cs of csNames) at.attach(cs);
    for (const one of this.#clients) if (one.state !== 'connected') at.connect(one);
    for (let n = 0; n < 400 && !this.#isOver; n += 1) {
      await at.pass(100);
      for (const home of homes) await at.hear(home);
      for (const cs of csNames) at.deliver(cs);
      for (const one of this.#clients) {
        while (one.waiting.length > 0) this.#send(one);
        while (one.outs.size > 0) this.#clientStep('ack', one, 0, 0);
        at.credit(one);
      }
    }
    assert.equal(at.stores.text, this.#endText, 'not all is done');
    at.owned.close(false);
  }

  get #isOver(): boolean {
    return this.at.stores.text === this.#endText && this.#done.size >= this.at.messages.length;
  }

  get #endText(): string | undefined {
    const { length } = this.at.messages;
    return length === 0 ? this.at.stores.text : `0 0 ${length.toString(36)}`;
  }
}

void test('in any order of words, losses and deaths each message is with one client, and done in the end', async () => {
  await inAnyOrder(stepArbitrary, 60, async (steps, clock) => {
    const run = new Run(clock);
    await run.begin();
    for (const step of steps) await run.step(step);
    await run.end();
  });
});
