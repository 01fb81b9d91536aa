// Destination of the messages of an MQTT topic: its RocketMQ topic, and in that the ordinary queue
// that rendezvous hashing gives it under the placement in force.
import { firstLevel, TopicMapping } from '../../rocketmq/mapping/topic-mapping.ts';
import { eventTag } from '../../rocketmq/message/property-names.ts';
import type { Brokers } from './brokers.ts';
import { Detouring } from './detouring.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import { LeftQueue, type OrdinaryQueue, type Target } from './ordinary-queue.ts';
import {
  type Home,
  isAt,
  type Nearest,
  type Placed,
  PlaceHistory,
  type PlaceInTopic,
} from './place-history.ts';
import type { UsedTopics } from './used-topics.ts';

/** RocketMQ topic by first level, as it was at the first publish. */
export const homeRecordKind = 'rocketmq-topic-of';
/** The same by the name that a rule makes of a topic. */
const madeRecordKind = 'rocketmq-topic-made';
const targetsMax = 200_000;
/**
 * For so long after a topic has come from another broker, what was stored there may not be indexed
 * yet.
 */
const leftMs = 60_000;
/** How long it is believed that there is no such topic. */
const absentMs = 15_000;
/** Questions of where topics go that are under way at once; the others wait. */
const seeksMax = 64;
/** Number of those who asked that hear an answer in one turn. */
const toldAtOnce = 500;

interface Asked {
  readonly mqttTopic: string;
  readonly done: (found: boolean) => void;
}

/** Destination of messages of an MQTT topic before a move. */
type Former = Pick<Target, 'queue' | 'placement'>;

export class Targets {
  readonly #options: RocketmqStoreOptions;
  readonly #brokers: Brokers;
  readonly #topics: UsedTopics;
  readonly #detouring: Detouring;
  readonly #history: PlaceHistory;
  readonly #mapping: TopicMapping;
  /** RocketMQ topics of rules that make their names: where their messages go, as it was recorded. */
  readonly #made = new Map<string, string>();
  readonly #targets = new Map<string, Target>();
  /** Places where messages of topics were found. */
  readonly #seen = new Map<string, Placed>();
  /** By what decides it. */
  readonly #homes = new Map<string, Home>();
  /** Publishes that wait, by the part of the topic that decides. */
  readonly #seeking = new Map<string, Asked[]>();
  /** Keys of `#seeking` whose question has not begun. */
  readonly #unsought = new Set<string>();
  #seeks = 0;
  /** Whether RocketMQ has a topic, and when it was asked. */
  readonly #there = new Map<string, { is: boolean; atMs: number }>();
  readonly #unasked = new Set<string>();
  /** Keys of `#homes` that were taken while no name server could be asked. */
  readonly #unasserted = new Set<string>();

  constructor(options: RocketmqStoreOptions, brokers: Brokers, topics: UsedTopics) {
    this.#options = options;
    this.#brokers = brokers;
    this.#topics = topics;
    this.#detouring = new Detouring(options.detours);
    this.#history = new PlaceHistory(topics.placements, (topic) => this.#detouring.of(topic));
    const reserved = new Set(options.settings.reservedTopics);
    const isTaken = (topic: string) => brokers.isName(topic) || reserved.has(topic);
    this.#mapping = new TopicMapping(options.settings, (topic) => this.#isThere(topic), isTaken);
  }

  /** undefined: `seek` it. */
  of(mqttTopic: string): Target | undefined {
    return this.#targets.get(mqttTopic) ?? this.#place(mqttTopic);
  }

  /**
   * `done` is called in a later turn: whether `of` knows it now. One question is asked for all topics
   * of a first level.
   */
  seek(mqttTopic: string, done: (found: boolean) => void): void {
    const key = this.#decisive(mqttTopic);
    const waiting = this.#seeking.get(key);
    if (waiting !== undefined) {
      waiting.push({ mqttTopic, done });
      return;
    }
    this.#seeking.set(key, [{ mqttTopic, done }]);
    this.#unsought.add(key);
    this.#seekNext();
  }

  /** A broker has a queue of the RocketMQ topic no more. */
  refused(rocketTopic: string): void {
    this.#topics.followRefused(rocketTopic).catch((error: unknown) => {
      this.#options.events.registryFailed('topic', messageOfError(error));
    });
  }

  /** The topics, or where they are, have changed. */
  changed(): void {
    this.#targets.clear();
    this.#seen.clear();
  }

  /** Name servers answer: RocketMQ topics that were taken without asking them are sought again. */
  nameServersAnswer(): void {
    if (this.#unasserted.size === 0) return;
    for (const key of this.#unasserted) this.#homes.delete(key);
    this.#unasserted.clear();
    this.changed();
  }

  /** A topic of that name, if RocketMQ has one, is read from now on: others write to it, too. */
  async read(rocketTopic: string): Promise<void> {
    if (this.#topics.named(rocketTopic) !== undefined) return;
    // Asks whether it is there.
    const mapped = await this.#mapped(rocketTopic);
    if (mapped.topic === rocketTopic && !mapped.create) await this.#topics.use(rocketTopic, false);
  }

  /**
   * The placement since which this MQTT topic was where a message of it was found, when the message
   * was stored: a topic may have left a place and come back. `storedMs`: by the broker's clock.
   */
  placementAt(
    mqttTopic: string,
    topic: string,
    broker: string,
    queueId: number,
    storedMs: number,
  ): number {
    const target = this.#targets.get(mqttTopic);
    if (target !== undefined && storedMs >= target.sinceMs) {
      const { queue } = target;
      if (queue.queueId === queueId && queue.broker.name === broker && queue.topic === topic)
        return target.placement;
    }
    const found = { topic, broker, queueId };
    const seen = this.#seen.get(mqttTopic);
    if (seen !== undefined && storedMs >= seen.sinceMs && isAt(seen, found)) return seen.number;
    const placed = this.#nearest(mqttTopic, found, storedMs);
    if (placed?.isLatest === false) return placed.number;
    if (this.#seen.size >= targetsMax) this.#seen.clear();
    const now = placed ?? { ...found, number: -1, sinceMs: -Infinity };
    this.#seen.set(mqttTopic, now);
    return now.number;
  }

  /**
   * Places where its messages were stored since then, by the wall clock, before its first level
   * moved.
   */
  former(mqttTopic: string, sinceMs: number): Former[] {
    const home = this.#homes.get(this.#decisive(mqttTopic));
    const now = this.of(mqttTopic);
    if (home === undefined || now === undefined) return [];
    const { broker, queueId } = now.queue;
    const stays = this.#history.stays(mqttTopic, home, this.#options.clock.nowMs());
    const found: Former[] = [];
    for (const [index, { move }] of stays.entries()) {
      if (move === undefined || move.fromMs <= sinceMs) continue;
      const { topic } = stays[index - 1]!;
      const queue = this.#topics.named(topic)?.queues.get(`${topic}/${broker.name}/${queueId}`);
      const was = { topic, broker: broker.name, queueId };
      const placement = this.#nearest(mqttTopic, was, move.fromMs - 1)?.number ?? -1;
      if (queue !== undefined && queue !== now.queue && placement >= 0)
        found.push({ queue, placement });
    }
    return found;
  }

  #nearest(mqttTopic: string, found: PlaceInTopic, storedMs: number): Nearest | undefined {
    const home = this.#likelyHome(mqttTopic, found.topic);
    return this.#history.nearest(mqttTopic, home, found, storedMs);
  }

  /**
   * Home of a topic that no publish of this ds has asked for yet; `found`: place of one of its
   * messages.
   */
  #likelyHome(mqttTopic: string, found: string): Home {
    const { defaultTopic } = this.#options.settings;
    const known = this.#homes.get(this.#decisive(mqttTopic));
    if (known !== undefined) return known;
    const ruled = this.#ruled(mqttTopic);
    if (ruled !== undefined)
      return { topic: ruled.isMade && found === defaultTopic ? found : ruled.topic, byRule: true };
    const first = firstLevel(mqttTopic);
    const isFirst = found !== defaultTopic && this.#topics.named(first) !== undefined;
    return { topic: isFirst ? first : defaultTopic, byRule: false };
  }

  #place(mqttTopic: string): Target | undefined {
    const home = this.#homes.get(this.#decisive(mqttTopic));
    if (home === undefined || !this.#detouring.isClaimed(mqttTopic)) return undefined;
    const nowMs = this.#options.clock.nowMs();
    const placed = this.#history.at(mqttTopic, home, nowMs);
    const queue = placed === undefined ? undefined : this.#queueAt(placed);
    if (placed === undefined || queue === undefined) return undefined;
    const { number, sinceMs } = placed;
    const left = this.#leftBy(mqttTopic, home, placed, nowMs);
    const { tag = this.#tagOf(mqttTopic), keys } = this.#mapping.ruled(mqttTopic) ?? {};
    const target = { queue, placement: number, sinceMs, left, tag, keys };
    if (this.#targets.size >= targetsMax) this.#targets.clear();
    this.#targets.set(mqttTopic, target);
    return target;
  }

  #tagOf(mqttTopic: string): string | undefined {
    return this.#options.isOfEvents?.(mqttTopic) === true ? eventTag : undefined;
  }

  #leftBy(mqttTopic: string, home: Home, now: Placed, nowMs: number): LeftQueue | undefined {
    const untilMs = now.sinceMs + leftMs;
    if (nowMs >= untilMs) return undefined;
    const before = this.#history.at(mqttTopic, home, now.sinceMs - 1);
    if (before === undefined || before.broker === now.broker) return undefined;
    const queue = this.#queueAt(before);
    return queue === undefined ? undefined : new LeftQueue(queue, untilMs);
  }

  #queueOf(mqttTopic: string, home: Home): OrdinaryQueue | undefined {
    const placed = this.#history.at(mqttTopic, home, this.#options.clock.nowMs());
    return placed === undefined ? undefined : this.#queueAt(placed);
  }

  /** A topic whose broker is away, and that was never published, goes to another one. */
  async #claim(asked: readonly Asked[], home: Home): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const answers = (broker: string): boolean => this.#brokers.named(broker)?.answers === true;
    const topics = asked.map(({ mqttTopic }) => mqttTopic);
    await this.#detouring.claim(topics, (mqttTopic) => {
      if (this.#queueOf(mqttTopic, home)?.broker.answers !== false) return undefined;
      const place = this.#history.instead(mqttTopic, home, nowMs, answers);
      return place === undefined || this.#queueAt(place) === undefined ? undefined : place;
    });
  }

  #queueAt({ topic, broker, queueId }: PlaceInTopic): OrdinaryQueue | undefined {
    return this.#topics.named(topic)?.queues.get(`${topic}/${broker}/${queueId}`);
  }

  /**
   * The part of a topic that decides where it goes: the whole of it if a rule takes it, else its
   * first level.
   */
  #decisive(mqttTopic: string): string {
    return this.#ruled(mqttTopic) === undefined ? `${firstLevel(mqttTopic)}\0` : mqttTopic;
  }

  /** By a rule that names another RocketMQ topic than the default one. */
  #ruled(mqttTopic: string): ReturnType<TopicMapping['ruled']> {
    const ruled = this.#mapping.ruled(mqttTopic);
    return ruled?.topic === this.#options.settings.defaultTopic ? undefined : ruled;
  }

  #seekNext(): void {
    for (const key of this.#unsought) {
      if (this.#seeks >= seeksMax) return;
      this.#unsought.delete(key);
      this.#seeks += 1;
      void this.#seek(key);
    }
  }

  async #seek(key: string): Promise<void> {
    const waiting = this.#seeking.get(key)!;
    const { length } = waiting;
    const { mqttTopic } = waiting[0]!;
    try {
      if (!this.#homes.has(key)) {
        const home = await this.#homeOf(mqttTopic);
        if (this.#homes.size >= targetsMax) this.#homes.clear();
        this.#homes.set(key, home);
      }
      const home = this.#homes.get(key)!;
      // A known place needs no question: the name servers may be away.
      if (this.#queueOf(mqttTopic, home) === undefined) await this.#useHome(mqttTopic, home);
      await this.#claim(waiting.slice(0, length), home);
    } catch (error) {
      this.#options.events.registryFailed('topic', messageOfError(error));
    }
    // Topics that came meanwhile are not claimed yet.
    const later = waiting.splice(length);
    if (later.length === 0) this.#seeking.delete(key);
    else {
      this.#seeking.set(key, later);
      this.#unsought.add(key);
    }
    this.#seeks -= 1;
    this.#tell(waiting, 0);
    this.#seekNext();
  }

  #tell(waiting: readonly Asked[], from: number): void {
    const end = Math.min(waiting.length, from + toldAtOnce);
    for (let at = from; at < end; at += 1) {
      const { mqttTopic, done } = waiting[at]!;
      done(this.of(mqttTopic) !== undefined);
    }
    if (end < waiting.length) setImmediate(() => this.#tell(waiting, end));
  }

  async #homeOf(mqttTopic: string): Promise<Home> {
    const { records } = this.#options;
    let topic: string;
    try {
      const known = this.#brokers.isUnknown ? await this.#knownHome(mqttTopic) : undefined;
      if (known !== undefined) return known;
      ({ topic } = await this.#mapped(mqttTopic));
    } catch (error) {
      const known = await this.#knownHome(mqttTopic);
      if (known === undefined) throw error;
      return known;
    }
    const ruled = this.#ruled(mqttTopic);
    if (ruled?.isMade === true) topic = await this.#madeHome(ruled.topic, topic);
    if (ruled !== undefined) return { topic, byRule: true };
    const home = await records.remember(homeRecordKind, firstLevel(mqttTopic), topic);
    return { topic: home, byRule: false };
  }

  /** Recorded once, so that all ds agree, whenever RocketMQ gets a topic of that name. */
  async #madeHome(name: string, topic: string): Promise<string> {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const home = await this.#options.records.remember(madeRecordKind, name, topic);
    if (this.#made.size >= targetsMax) this.#made.clear();
    this.#made.set(name, home);
    return home;
  }

  /**
   * While no name server can be asked: the RocketMQ topic by rule or record, else the default one,
   * if it has a place. Nothing is recorded, so that it may be another one afterwards.
   */
  async #knownHome(mqttTopic: string): Promise<Home | undefined> {
    const { settings, records } = this.#options;
    const ruled = this.#ruled(mqttTopic);
    const name = ruled?.topic ?? firstLevel(mqttTopic);
    let topic = name;
    if (ruled === undefined || ruled.isMade) {
      const kind = ruled === undefined ? homeRecordKind : madeRecordKind;
      const recorded = (await records.all(kind)).get(name);
      const { defaultTopic } = settings;
      topic = recorded ?? (this.#topics.named(name) === undefined ? defaultTopic : name);
    }
    if (this.#topics.placements.of(topic).length === 0) return undefined;
    if (this.#unasserted.size < targetsMax) this.#unasserted.add(this.#decisive(mqttTopic));
    return { topic, byRule: ruled !== undefined };
  }

  async #useHome(mqttTopic: string, home: Home): Promise<void> {
    const { settings, clock } = this.#options;
    const mapped = await this.#mapped(mqttTopic);
    const { topic } = this.#history.stays(mqttTopic, home, clock.nowMs()).at(-1)!;
    const mayCreate = topic === mapped.topic ? mapped.create : topic === settings.defaultTopic;
    await this.#topics.use(topic, mayCreate);
  }

  /** The mapping asks whether topics are there, and is asked again when that is known. */
  async #mapped(mqttTopic: string): Promise<{ topic: string; create: boolean }> {
    for (;;) {
      this.#unasked.clear();
      const mapped = this.#mapping.of(mqttTopic);
      const unasked = [...this.#unasked];
      if (unasked.length === 0) return mapped;
      for (const topic of unasked) {
        const route = await this.#options.client.route(topic);
        const is = route?.brokers.some(({ writable }) => writable) === true;
        if (this.#there.size >= targetsMax) this.#there.clear();
        this.#there.set(topic, { is, atMs: this.#options.clock.monotonicMs() });
      }
    }
  }

  #isThere(topic: string): boolean {
    if (this.#topics.named(topic) !== undefined) return true;
    const known = this.#there.get(topic);
    if (known !== undefined && (known.is || !this.#isStale(known.atMs))) return known.is;
    this.#unasked.add(topic);
    return false;
  }

  #isStale(atMs: number): boolean {
    return this.#options.clock.monotonicMs() - atMs > absentMs;
  }
}
