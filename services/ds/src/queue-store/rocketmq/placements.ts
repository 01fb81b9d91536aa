// Over which places the MQTT topics of a RocketMQ topic are spread: a log in the registry, numbered
// over the whole cluster. An entry after a topic's first one takes effect some time after it was
// recorded: by then every ds that may still write has read it, so that no ds goes on sending to the
// old place when another sends to the new one.
import { isRecord } from '../../rocketmq/remoting/json.ts';
import type { Clock } from '@lmqtt/common/clock';
import type { Records } from '../../registry/records.ts';

const recordKind = 'rocketmq-placement';
/** More than a lease, the time between two looks, and what wall clocks may differ by. */
const effectAfterMs = 6000;

export interface Placement {
  readonly number: number;
  readonly topic: string;
  /** Queues by broker. */
  readonly queues: Readonly<Record<string, number>>;
  /** Wall clock. */
  readonly fromMs: number;
}

export class Placements {
  readonly #records: Records;
  readonly #clock: Clock;
  readonly #all = new Map<number, Placement>();
  readonly #byTopic = new Map<string, Placement[]>();
  readonly #brokers = new Set<string>();
  #last = -1;

  constructor(records: Records, clock: Clock) {
    this.#records = records;
    this.#clock = clock;
  }

  /** In the order of their numbers, those of the future included. */
  of(topic: string): readonly Placement[] {
    return this.#byTopic.get(topic) ?? [];
  }

  /** Those that some placement names. */
  get brokers(): readonly string[] {
    return [...this.#brokers];
  }

  /** When one is to take effect next, wall clock; undefined: all have. */
  get nextMs(): number | undefined {
    const nowMs = this.#clock.nowMs();
    let next: number | undefined;
    for (const { fromMs } of this.#all.values()) {
      if (fromMs > nowMs && (next === undefined || fromMs < next)) next = fromMs;
    }
    return next;
  }

  /** True: there was news. */
  async read(): Promise<boolean> {
    const known = this.#all.size;
    for (const [key, text] of await this.#records.all(recordKind)) this.#take(Number(key), text);
    return this.#all.size > known;
  }

  /** Recorded when this resolves, by us or by another ds. */
  async record(topic: string, queues: Readonly<Record<string, number>>): Promise<void> {
    for (;;) {
      const latest = this.of(topic).at(-1);
      if (latest !== undefined && isSame(latest.queues, queues)) return;
      const fromMs = latest === undefined ? 0 : this.#clock.nowMs() + effectAfterMs;
      const text = JSON.stringify({ topic, queues, fromMs });
      const number = this.#last + 1;
      this.#take(number, await this.#records.remember(recordKind, `${number}`, text));
    }
  }

  #take(number: number, text: string): void {
    if (this.#all.has(number)) return;
    const placement = parse(number, text);
    this.#all.set(number, placement);
    for (const broker of Object.keys(placement.queues)) this.#brokers.add(broker);
    this.#last = Math.max(this.#last, number);
    const list = this.#byTopic.get(placement.topic) ?? [];
    list.push(placement);
    list.sort((a, b) => a.number - b.number);
    this.#byTopic.set(placement.topic, list);
  }
}

function isSame(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
): boolean {
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => one[name] === other[name]);
}

function parse(number: number, text: string): Placement {
  const value: unknown = JSON.parse(text);
  const record = isRecord(value) ? value : {};
  const { topic, queues, fromMs } = record;
  const counts: Record<string, number> = {};
  for (const [broker, count] of Object.entries(isRecord(queues) ? queues : {})) {
    if (typeof count === 'number') counts[broker] = count;
  }
  return {
    number,
    topic: typeof topic === 'string' ? topic : '',
    queues: counts,
    fromMs: typeof fromMs === 'number' ? fromMs : 0,
  };
}
