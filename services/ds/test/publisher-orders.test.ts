// PUBLISH under random orders of answers, failures and takeovers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Qos } from '@lmqtt/common/qos';
import type { Publish } from '@lmqtt/proto/link';
import type { Append } from '../src/queue-store/queue-store.ts';
import type { LiveSession } from '../src/sessions/live-session.ts';
import { type MovedClock, turns } from './moved-clock.ts';
import { publishOf, PublisherFixture } from './publisher-fixture.ts';
import { inAnyOrder } from './random-orders.ts';

const takenOver = 0x8e;
const successes = [0, 0x10];
const topics = ['held', 'x'];

type Step =
  | {
      readonly kind: 'publish';
      readonly client: number;
      readonly qos: Qos;
      readonly topic: number;
      readonly retain: boolean;
    }
  | { readonly kind: 'repeat' | 'again' | 'gone'; readonly client: number }
  | { readonly kind: 'answer'; readonly lane: number; readonly count: number; readonly ok: boolean }
  | { readonly kind: 'put'; readonly at: number; readonly ok: boolean }
  | { readonly kind: 'outcome'; readonly outcome: 'stored' | 'not stored' | 'unknown' };

const client = fc.nat({ max: 1 });
const small = fc.nat({ max: 5 });
const often = fc.constantFrom(true, true, true, false);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ kind: fc.constant('publish' as const), client, topic: fc.nat({ max: 1 }) },
      ...{ qos: fc.constantFrom<Qos>(0, 1, 2, 2), retain: fc.boolean() },
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      ...{ lane: small, count: fc.integer({ min: 1, max: 3 }), ok: often },
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('put' as const), at: small, ok: often }) },
  fc.record({ kind: fc.constantFrom('repeat', 'again', 'gone'), client }),
  fc.record({
    kind: fc.constant('outcome' as const),
    outcome: fc.constantFrom('stored', 'not stored', 'unknown'),
  }),
);

interface Sent {
  readonly publish: Publish;
  readonly session: LiveSession;
}

/** A client, what it has sent, and what it was told. */
interface Client {
  session: LiveSession;
  /** At QoS 1 and 2, on this connection. */
  sent: Publish[];
  /** Packets without an answer, to be sent again on the next connection. */
  readonly open: Map<number, Publish>;
}

class Run {
  readonly #at = new PublisherFixture({ storesAll: true });
  readonly #clients: Client[];
  readonly #all: Sent[] = [];
  readonly #answered = new Set<Publish>();
  /** Messages that the store has, by packet identifier; those whose retained form is put. */
  readonly #stored = new Set<number>();
  readonly #failed = new Set<number>();
  readonly #put = new Map<number, number>();
  /** Epochs of which something was refused since another connection is there. */
  readonly #fenced = new Set<number>();
  /** Came to the store when a newer connection had been claimed: refused. */
  readonly #late = new Set<Append>();
  #packetId = 0;

  constructor() {
    this.#at.store.onCame = (append) => {
      if (this.#isOld(append)) this.#late.add(append);
    };
    this.#clients = ['a', 'b'].map((name, n) => {
      return { session: this.#at.session(name, n === 0 ? 5 : 4), sent: [], open: new Map() };
    });
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'publish':
        this.#publish(this.#clients[step.client]!, step.qos, topics[step.topic]!, step.retain);
        break;
      case 'repeat':
        this.#repeat(this.#clients[step.client]!);
        break;
      case 'again':
        this.#again(this.#clients[step.client]!, false);
        break;
      case 'gone':
        this.#again(this.#clients[step.client]!, true);
        break;
      case 'answer':
        this.#answer(step.lane, step.count, step.ok ? 0 : 0x80);
        break;
      case 'put':
        this.#answerPut(step.at, step.ok ? 0 : 0x80);
        break;
      case 'outcome':
        await this.#outcome(step.outcome);
        break;
      default:
        break;
    }
    this.#check();
  }

  /** All that waits is answered: each publish has had one answer. */
  async end(clock: MovedClock): Promise<void> {
    const { store, retained } = this.#at;
    for (let n = 0; n < 200; n += 1) {
      if (store.open.length > 0) this.#answer(0, 100, 0);
      else if (retained.open.length > 0) this.#answerPut(0, 0);
      else if (store.asked.length > 0) await this.#outcome('not stored');
      else await clock.move(100);
      this.#check();
      if (this.#answered.size === this.#all.length) break;
    }
    for (const { publish } of this.#all)
      assert.ok(this.#answered.has(publish), `${publish.packetId} was never answered`);
    this.#checkLanes();
  }

  #publish(one: Client, qos: Qos, topic: string, retain: boolean): void {
    if (one.session.turnedAway) this.#again(one, false);
    this.#packetId += 1;
    const publish = publishOf(one.session, this.#packetId, qos, { topic, retain });
    if (qos > 0) one.open.set(this.#packetId, publish);
    this.#send(one, publish);
  }

  #send(one: Client, publish: Publish): void {
    if (publish.message.qos > 0) {
      one.sent.push(publish);
      this.#all.push({ publish, session: one.session });
    }
    this.#at.publish(publish);
  }

  /** The oldest at QoS 2 that is not answered, as a cs that lost the answer sends it. */
  #repeat(one: Client): void {
    const open = [...one.open.values()].find(({ message }) => message.qos === 2);
    if (open !== undefined) this.#resend(one, open);
  }

  #resend(one: Client, { packetId, message }: Publish): void {
    const { qos, topic, retain } = message;
    this.#send(one, publishOf(one.session, packetId, qos, { topic, retain }));
  }

  /**
   * The client is back, and sends again what was not answered. `elsewhere`: its last connection was
   * at another ds, which may have stored what it sent.
   */
  #again(one: Client, elsewhere: boolean): void {
    const { stored } = one.session;
    one.session = this.#at.again(one.session);
    one.sent = [];
    if (elsewhere && one.open.size === 0) {
      this.#packetId += 1;
      const place = { topic: 't', broker: 'b', queueId: 0 };
      const { clientId, epoch } = one.session;
      const packetId = this.#packetId;
      stored.intents = [{ clientId, epoch, packetId, key: 'k', from: 0, place }];
      one.open.set(packetId, publishOf(one.session, packetId, 2));
    }
    for (const open of one.open.values()) this.#resend(one, open);
  }

  /** The first of one lane, since a store answers each lane in its order. */
  #answer(at: number, countMax: number, wanted: number): void {
    const { store } = this.#at;
    const lanes = [...new Set(store.open.map(({ append }) => append.lane))];
    const lane = lanes[at % lanes.length];
    const ones = store.open.filter(({ append }) => append.lane === lane).slice(0, countMax);
    for (const one of ones) {
      const reasonCode = this.#codeOf(one.append, wanted);
      if (reasonCode === 0) this.#stored.add(idOf(one.append));
      else if (reasonCode !== takenOver) this.#failed.add(idOf(one.append));
      store.answer([one], reasonCode);
    }
  }

  /**
   * A publish of an earlier connection may be refused for that, and then everything after it is.
   */
  #codeOf(append: Append, wanted: number): number {
    const { inbound } = append;
    if (inbound === undefined) return wanted;
    if (!this.#isOld(append)) return wanted;
    if (this.#late.has(append) || this.#fenced.has(inbound.epoch) || wanted !== 0) {
      this.#fenced.add(inbound.epoch);
      return takenOver;
    }
    return 0;
  }

  /** True for a publish of an earlier connection of its client than the one that is there. */
  #isOld({ inbound }: Append): boolean {
    if (inbound === undefined) return false;
    const now = this.#clients.find(({ session }) => session.clientId === inbound.clientId)!;
    return now.session.epoch !== inbound.epoch;
  }

  #answerPut(at: number, reasonCode: number): void {
    const { retained } = this.#at;
    if (retained.open.length === 0) return;
    const index = at % retained.open.length;
    const id = Number(retained.open[index]!.message.payload.toString());
    this.#put.set(id, reasonCode);
    retained.answer(index, reasonCode);
  }

  async #outcome(outcome: 'stored' | 'not stored' | 'unknown'): Promise<void> {
    const asked = this.#at.store.asked.shift();
    if (asked === undefined) return;
    if (outcome === 'stored') this.#stored.add(asked.packetId);
    asked.say(outcome);
    await turns();
  }

  #check(): void {
    for (const publish of this.#at.cs.answered.splice(0)) {
      assert.ok(!this.#answered.has(publish), `${publish.packetId} was answered twice`);
      this.#answered.add(publish);
      const { packetId, reasonCode, message } = publish;
      if (successes.includes(reasonCode)) {
        assert.ok(this.#stored.has(packetId), `${packetId} is not stored`);
        if (message.retain && message.qos === 1)
          assert.ok(this.#put.has(packetId), `${packetId} is not retained`);
      }
      const one = this.#clients.find(({ session }) => session.handle === publish.session);
      if (one === undefined) continue;
      assert.equal(one.sent.shift(), publish, `${packetId} was not the next`);
      one.open.delete(packetId);
    }
  }

  /** At QoS 2 each is stored once, and each lane in the order in which its client sent first. */
  #checkLanes(): void {
    const { came } = this.#at.store;
    const lanes = new Map<string, number[]>();
    for (const append of came) {
      if (append.inbound === undefined || append.reasonCode !== 0) continue;
      // One that has failed before is a new one for those behind it.
      if (this.#failed.has(idOf(append))) continue;
      const ids = lanes.get(append.lane) ?? [];
      lanes.set(append.lane, ids);
      ids.push(idOf(append));
    }
    for (const ids of lanes.values()) {
      assert.equal(new Set(ids).size, ids.length, `stored twice: ${ids.join(' ')}`);
      assert.deepEqual(
        ids,
        [...ids].sort((a, b) => a - b),
        'out of order',
      );
    }
  }
}

function idOf({ message }: Append): number {
  return Number(message.payload.toString());
}

void test('each publish is answered once, in order, when it is stored; at QoS 2 stored once', async () => {
  await inAnyOrder(stepArbitrary, 60, async (steps, clock) => {
    const run = new Run();
    for (const step of steps) await run.step(step);
    await run.end(clock);
  });
});
