// Publishers that number what they publish to each topic, and go on while brokers come and go; and
// whether subscribers got what was acknowledged: each number, at QoS 2 once, in order.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import type { NotingSubscriber } from './once-ledger.ts';

const pollMs = 200;
const quietMs = 500;
const pausedPollMs = 20;

interface NumberedTopic {
  readonly name: string;
  readonly qos: 1 | 2;
  /** The last number that was handed to the client; 0: none. */
  sent: number;
  readonly acknowledged: Set<number>;
  /** Refused: they may be stored all the same, and later than those behind them. */
  readonly refused: Set<number>;
  isIdle: boolean;
}

/** One subscriber, or the members of one group: what they took counts together. */
export interface LedgerParty {
  readonly name: string;
  readonly members: readonly NotingSubscriber[];
  /** By topic: what was sent later is owed. Unset: all is. */
  readonly after?: ReadonlyMap<string, number>;
}

export class NumberedLedger {
  readonly topics: readonly NumberedTopic[];
  readonly #clients: MqttClient[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #eachMs: number;
  /**
   * Messages that were acknowledged and had not come when a broker died, by who waited for them.
   */
  readonly #late = new Map<NotingSubscriber, Set<string>>();
  #isPaused = false;
  #isOver = false;

  /** Topics `{prefix}/{n}`, at QoS 1 and 2 in turn; `eachMs`: the rest between two of one topic. */
  constructor(prefix: string, topics: number, eachMs: number) {
    this.#eachMs = eachMs;
    this.topics = Array.from({ length: topics }, (_, n) => ({
      ...{ name: `${prefix}/${n}`, qos: n % 2 === 0 ? (1 as const) : (2 as const), sent: 0 },
      ...{ acknowledged: new Set<number>(), refused: new Set<number>(), isIdle: true },
    }));
  }

  /** One client for each port; a topic has one publisher. */
  async start(ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
        ...{ clientId: `ledger-publisher-${port}`, clean: false, protocolVersion: 5 },
        ...{ reconnectPeriod: 200, properties: { sessionExpiryInterval: 3600 } },
      });
      client.on('error', () => undefined);
      this.#clients.push(client);
    }
    for (const [index, topic] of this.topics.entries())
      this.#running.push(this.#publish(this.#clients[index % this.#clients.length]!, topic));
  }

  /** Nothing is under way when this resolves. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    while (this.topics.some(({ isIdle }) => !isIdle)) await delay(pausedPollMs);
  }

  resume(): void {
    this.#isPaused = false;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#isPaused = false;
    await Promise.all(this.#running);
    for (const client of this.#clients) client.end(true);
  }

  get sent(): ReadonlyMap<string, number> {
    return new Map(this.topics.map(({ name, sent }) => [name, sent]));
  }

  count(what: 'acknowledged' | 'refused'): number {
    return this.topics.reduce((sum, topic) => sum + topic[what].size, 0);
  }

  /**
   * A broker has died: what only that one has of what the subscribers lack comes when it is back,
   * behind what is stored elsewhere meanwhile.
   */
  mayBeLate(subscribers: readonly NotingSubscriber[]): void {
    for (const subscriber of subscribers) {
      const came = new Set(subscriber.came);
      const late = this.#late.get(subscriber) ?? new Set<string>();
      this.#late.set(subscriber, late);
      for (const { name, acknowledged } of this.topics)
        for (const number of acknowledged)
          if (!came.has(`${name} ${number}`)) late.add(`${name} ${number}`);
    }
  }

  /**
   * Resolves when all of them have what was acknowledged until now, as it should be. `withinMs`:
   * longest time in which nothing of that comes.
   */
  async haveAll(parties: readonly LedgerParty[], withinMs: number): Promise<void> {
    const wanted = this.topics.map(({ name, acknowledged }) => ({
      name,
      numbers: [...acknowledged],
    }));
    for (const party of parties) {
      let least = Infinity;
      let endMs = 0;
      for (;;) {
        await Promise.all(party.members.map((member) => member.comeBack()));
        const missing = missingOf(party, wanted);
        if (missing.length === 0) break;
        // A busy machine takes long: what counts is that something comes.
        if (missing.length < least) endMs = performance.now() + withinMs;
        least = Math.min(least, missing.length);
        const gone = party.members.map(({ gone: why }) => why ?? 'connected').join(', ');
        const text = `${party.name} (${gone}) lacks ${missing.length}: ${missing.slice(0, 20).join(', ')}`;
        assert.ok(performance.now() < endMs, text);
        await delay(pollMs);
      }
    }
    await delay(quietMs);
    for (const party of parties) this.#judge(party);
  }

  #judge({ name, members }: LedgerParty): void {
    for (const topic of this.topics) {
      const all = members.map((member) => numbersOf(member, topic.name));
      const counts = new Map<number, number>();
      for (const number of all.flat()) counts.set(number, (counts.get(number) ?? 0) + 1);
      if (topic.qos === 2) {
        const twice = [...counts].filter(([, count]) => count > 1).map(([number]) => number);
        assert.deepEqual(twice, [], `${name}: ${topic.name} at QoS 2 more than once`);
      }
      // Order is promised to one subscriber, not to the members of a group together.
      if (members.length > 1) continue;
      const late = this.#late.get(members[0]!);
      const first = [...new Set(all[0])].filter(
        (number) => topic.acknowledged.has(number) && late?.has(`${topic.name} ${number}`) !== true,
      );
      const sorted = first.toSorted((a, b) => a - b);
      assert.deepEqual(first, sorted, `${name}: ${topic.name} out of order`);
    }
  }

  async #publish(client: MqttClient, topic: NumberedTopic): Promise<void> {
    while (!this.#isOver) {
      if (this.#isPaused) {
        topic.isIdle = true;
        await delay(pausedPollMs);
        continue;
      }
      topic.isIdle = false;
      const number = topic.sent + 1;
      topic.sent = number;
      try {
        await client.publishAsync(topic.name, `${topic.name} ${number}`, { qos: topic.qos });
        topic.acknowledged.add(number);
      } catch {
        topic.refused.add(number);
      }
      await delay(this.#eachMs);
    }
    topic.isIdle = true;
  }
}

function missingOf(
  { members, after }: LedgerParty,
  wanted: readonly { readonly name: string; readonly numbers: readonly number[] }[],
): string[] {
  const came = new Set(members.flatMap((member) => member.came));
  return wanted.flatMap(({ name, numbers }) => {
    const from = after?.get(name) ?? 0;
    return numbers
      .map((each) => `${name} ${each}`)
      .filter((text, at) => numbers[at]! > from && !came.has(text));
  });
}

function numbersOf({ came }: NotingSubscriber, topic: string): number[] {
  const head = `${topic} `;
  return came
    .filter((text) => text.startsWith(head))
    .map((text) => Number(text.slice(head.length)));
}
