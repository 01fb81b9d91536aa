// Over which places the MQTT topics of a RocketMQ topic are spread, and which first levels of MQTT
// topics have moved to another RocketMQ topic: a log in the registry, numbered over the whole
// cluster. An entry after a topic's first one, and every move, takes effect some time after it was
// recorded: by then every ds that may still write has read it, so that no ds goes on sending to the
// old place when another sends to the new one. A placement that only leaves out queues that a
// broker has no more takes effect at once: the broker refuses what another ds still sends there.
import { placementRecordKind as recordKind } from '../../rocketmq/names/broker-records.ts';
import { isRecord } from '../../rocketmq/remoting/json.ts';
import type { Clock } from '@lmqtt/common/clock';
import type { Records } from '../../registry/records.ts';

/** More than a lease, the time between two looks, and what wall clocks may differ by. */
export const effectAfterMs = 6000;

const noMoves: readonly Move[] = [];

interface Placement {
  readonly number: number;
  readonly topic: string;
  /** Queues by broker. */
  readonly queues: Readonly<Record<string, number>>;
  /** Wall clock. */
  readonly fromMs: number;
}

/** From then on what begins with a first level is stored in another RocketMQ topic. */
export interface Move {
  readonly number: number;
  readonly firstLevel: string;
  readonly topic: string;
  /**
   * Queues by broker over which they were spread before. So many of the new topic's are used, and
   * everything stays at its broker and queue: light queues keep their order.
   */
  readonly queues: Readonly<Record<string, number>>;
  /** Wall clock. */
  readonly fromMs: number;
}

export class Placements {
  readonly #records: Records;
  readonly #clock: Clock;
  readonly #all = new Map<number, Placement | Move>();
  readonly #byTopic = new Map<string, Placement[]>();
  readonly #moves = new Map<string, Move[]>();
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

  /** In the order of their numbers, those of the future included. */
  movesOf(firstLevel: string): readonly Move[] {
    return this.#moves.get(firstLevel) ?? noMoves;
  }

  get moves(): Iterable<Move> {
    return [...this.#moves.values()].flat();
  }

  /** Brokers that some placement names. */
  get brokers(): readonly string[] {
    return [...this.#brokers];
  }

  /** When an entry is to take effect next, wall clock; undefined: all have. */
  get nextMs(): number | undefined {
    const nowMs = this.#clock.nowMs();
    let next: number | undefined;
    for (const { fromMs } of this.#all.values()) {
      if (fromMs > nowMs && (next === undefined || fromMs < next)) next = fromMs;
    }
    return next;
  }

  /** Number of entries that have taken effect. */
  get begun(): number {
    const nowMs = this.#clock.nowMs();
    let begun = 0;
    for (const { fromMs } of this.#all.values()) if (fromMs <= nowMs) begun += 1;
    return begun;
  }

  /** True: there was news. */
  async read(): Promise<boolean> {
    const known = this.#all.size;
    for (const [key, text] of await this.#records.all(recordKind)) this.#take(Number(key), text);
    return this.#all.size > known;
  }

  /**
   * Recorded when this resolves, by us or by another ds. `isOver`: the brokers refuse what is sent
   * to a place that is left out.
   */
  async record(
    topic: string,
    queues: Readonly<Record<string, number>>,
    isOver: (broker: string, queueId: number) => boolean = () => false,
  ): Promise<void> {
    for (;;) {
      const latest = this.of(topic).at(-1);
      if (latest !== undefined && isSame(latest.queues, queues)) return;
      const nowMs = this.#clock.nowMs();
      const waits = latest !== undefined && !this.#isForced(topic, queues, isOver);
      const fromMs = latest === undefined ? 0 : nowMs + (waits ? effectAfterMs : 0);
      await this.#append({ topic, queues, fromMs });
    }
  }

  /**
   * Nobody can go on sending to a place that the topics of a place which is new to them leave: all
   * that is left out is refused, and nothing is added.
   */
  #isForced(
    topic: string,
    queues: Readonly<Record<string, number>>,
    isOver: (broker: string, queueId: number) => boolean,
  ): boolean {
    const nowMs = this.#clock.nowMs();
    const before =
      this.of(topic)
        .filter(({ fromMs }) => fromMs <= nowMs)
        .at(-1)?.queues ?? {};
    for (const [broker, count] of Object.entries(queues))
      if (count > (before[broker] ?? 0)) return false;
    for (const [broker, count] of Object.entries(before)) {
      for (let queueId = queues[broker] ?? 0; queueId < count; queueId += 1)
        if (!isOver(broker, queueId)) return false;
    }
    return true;
  }

  /** `fromMs`: by the clocks of the ds nodes, at least `effectAfterMs` from now. */
  async recordMove({ firstLevel, topic, queues, fromMs }: Omit<Move, 'number'>): Promise<void> {
    while (this.movesOf(firstLevel).at(-1)?.topic !== topic)
      await this.#append({ firstLevel, to: topic, places: queues, fromMs });
  }

  /** Another entry may have got the number: the caller looks again. */
  async #append(entry: object): Promise<void> {
    const number = this.#last + 1;
    const text = JSON.stringify(entry);
    this.#take(number, await this.#records.remember(recordKind, `${number}`, text));
  }

  #take(number: number, text: string): void {
    if (this.#all.has(number)) return;
    const entry = parse(number, text);
    this.#all.set(number, entry);
    this.#last = Math.max(this.#last, number);
    if ('firstLevel' in entry) insert(this.#moves, entry.firstLevel, entry);
    else {
      for (const broker of Object.keys(entry.queues)) this.#brokers.add(broker);
      insert(this.#byTopic, entry.topic, entry);
    }
  }
}

function insert<E extends { readonly number: number }>(
  lists: Map<string, E[]>,
  key: string,
  entry: E,
): void {
  const list = lists.get(key) ?? [];
  list.push(entry);
  list.sort((a, b) => a.number - b.number);
  lists.set(key, list);
}

function isSame(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
): boolean {
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => one[name] === other[name]);
}

function parse(number: number, text: string): Placement | Move {
  const value: unknown = JSON.parse(text);
  const record = isRecord(value) ? value : {};
  const { topic, queues, firstLevel, to } = record;
  const fromMs = typeof record['fromMs'] === 'number' ? record['fromMs'] : 0;
  if (typeof firstLevel === 'string' && typeof to === 'string')
    return { number, firstLevel, topic: to, queues: countsOf(record['places']), fromMs };
  return {
    ...{ number, topic: typeof topic === 'string' ? topic : '' },
    ...{ queues: countsOf(queues), fromMs },
  };
}

function countsOf(value: unknown): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [broker, count] of Object.entries(isRecord(value) ? value : {})) {
    if (typeof count === 'number') counts[broker] = count;
  }
  return counts;
}
