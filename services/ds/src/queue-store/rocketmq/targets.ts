// Where the messages of an MQTT topic go: its RocketMQ topic, and in that the ordinary queue that
// rendezvous hashing gives it under the placement in force.
import { pickPlace } from '../../rocketmq/mapping/place.ts';
import { firstLevel, TopicMapping } from '../../rocketmq/mapping/topic-mapping.ts';
import type { Brokers } from './brokers.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Target } from './ordinary-queue.ts';
import type { Placement } from './placements.ts';
import type { UsedTopics } from './used-topics.ts';

const recordKind = 'rocketmq-topic-of';
const targetsMax = 200_000;
/** How long it is believed that there is no such topic. */
const absentMs = 15_000;

export class Targets {
  readonly #options: RocketmqStoreOptions;
  readonly #topics: UsedTopics;
  readonly #mapping: TopicMapping;
  /** Only its rules. */
  readonly #rules: TopicMapping;
  readonly #targets = new Map<string, Target>();
  /** Where messages of topics were found. */
  readonly #seen = new Map<string, { broker: string; queueId: number; placement: number }>();
  /** RocketMQ topic by MQTT topic. */
  readonly #homes = new Map<string, string>();
  readonly #seeking = new Map<string, ((found: boolean) => void)[]>();
  /** Whether RocketMQ has a topic, and when it was asked. */
  readonly #there = new Map<string, { is: boolean; atMs: number }>();
  readonly #unasked = new Set<string>();

  constructor(options: RocketmqStoreOptions, brokers: Brokers, topics: UsedTopics) {
    this.#options = options;
    this.#topics = topics;
    const isTaken = (topic: string) => brokers.isName(topic);
    this.#mapping = new TopicMapping(options.settings, (topic) => this.#isThere(topic), isTaken);
    const onlyRules = { ...options.settings, topicCreate: '' };
    this.#rules = new TopicMapping(onlyRules, () => false);
  }

  /** undefined: `seek` it. */
  of(mqttTopic: string): Target | undefined {
    return this.#targets.get(mqttTopic) ?? this.#place(mqttTopic);
  }

  /** `done` is called in a later turn: whether `of` knows it now. */
  seek(mqttTopic: string, done: (found: boolean) => void): void {
    const waiting = this.#seeking.get(mqttTopic);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    this.#seeking.set(mqttTopic, [done]);
    void this.#seek(mqttTopic);
  }

  /** The topics, or where they are, have changed. */
  changed(): void {
    this.#targets.clear();
    this.#seen.clear();
  }

  /** A topic of that name, if RocketMQ has one, is read from now on: others write to it, too. */
  async read(rocketTopic: string): Promise<void> {
    if (this.#topics.named(rocketTopic) !== undefined) return;
    // Asks whether it is there.
    const mapped = await this.#mapped(rocketTopic);
    if (mapped.topic === rocketTopic && !mapped.create) await this.#topics.use(rocketTopic, false);
  }

  /** The placement since which this MQTT topic is where a message of it was found. */
  placementAt(mqttTopic: string, broker: string, queueId: number): number {
    const target = this.#targets.get(mqttTopic);
    if (target !== undefined) {
      const { queue } = target;
      if (queue.queueId === queueId && queue.broker.name === broker) return target.placement;
    }
    const seen = this.#seen.get(mqttTopic);
    if (seen !== undefined && seen.queueId === queueId && seen.broker === broker)
      return seen.placement;
    const placement = this.#lastPlacementAt(
      this.#likelyHome(mqttTopic),
      mqttTopic,
      broker,
      queueId,
    );
    if (this.#seen.size >= targetsMax) this.#seen.clear();
    this.#seen.set(mqttTopic, { broker, queueId, placement });
    return placement;
  }

  /** Where no publish of this ds has asked yet. */
  #likelyHome(mqttTopic: string): string {
    const { defaultTopic } = this.#options.settings;
    const home = this.#homes.get(mqttTopic) ?? this.#rules.of(mqttTopic).topic;
    const first = firstLevel(mqttTopic);
    return home === defaultTopic && this.#topics.named(first) !== undefined ? first : home;
  }

  #place(mqttTopic: string): Target | undefined {
    const home = this.#homes.get(mqttTopic);
    if (home === undefined) return undefined;
    const used = this.#topics.named(home);
    if (used === undefined) return undefined;
    const nowMs = this.#options.clock.nowMs();
    const inForce = this.#topics.placements.of(home).filter(({ fromMs }) => fromMs <= nowMs);
    const latest = inForce.at(-1);
    if (latest === undefined) return undefined;
    const place = picked(mqttTopic, latest);
    const queue =
      place === undefined ? undefined : used.queues.get(`${home}/${place.broker}/${place.queueId}`);
    if (place === undefined || queue === undefined) return undefined;
    let { number } = latest;
    for (const earlier of inForce.toReversed()) {
      const then = picked(mqttTopic, earlier);
      if (then?.broker !== place.broker || then.queueId !== place.queueId) break;
      ({ number } = earlier);
    }
    const target = { queue, placement: number };
    if (this.#targets.size >= targetsMax) this.#targets.clear();
    this.#targets.set(mqttTopic, target);
    return target;
  }

  #lastPlacementAt(
    rocketTopic: string,
    mqttTopic: string,
    broker: string,
    queueId: number,
  ): number {
    let number = -1;
    for (const placement of this.#topics.placements.of(rocketTopic).toReversed()) {
      const place = picked(mqttTopic, placement);
      if (place?.broker === broker && place.queueId === queueId) ({ number } = placement);
      else if (number >= 0) break;
    }
    return number;
  }

  async #seek(mqttTopic: string): Promise<void> {
    let found = false;
    try {
      if (!this.#homes.has(mqttTopic)) {
        const home = await this.#homeOf(mqttTopic);
        if (this.#homes.size >= targetsMax) this.#homes.clear();
        this.#homes.set(mqttTopic, home);
      }
      found = this.of(mqttTopic) !== undefined;
    } catch (error) {
      this.#options.events.registryFailed('topic', messageOfError(error));
    }
    const waiting = this.#seeking.get(mqttTopic) ?? [];
    this.#seeking.delete(mqttTopic);
    for (const done of waiting) done(found);
  }

  async #homeOf(mqttTopic: string): Promise<string> {
    const { settings, records } = this.#options;
    const mapped = await this.#mapped(mqttTopic);
    const byRule = this.#rules.of(mqttTopic).topic !== settings.defaultTopic;
    const home = byRule
      ? mapped.topic
      : await records.remember(recordKind, firstLevel(mqttTopic), mapped.topic);
    const mayCreate = home === mapped.topic ? mapped.create : home === settings.defaultTopic;
    await this.#topics.use(home, mayCreate);
    return home;
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

function picked(
  mqttTopic: string,
  { queues }: Placement,
): { broker: string; queueId: number } | undefined {
  const places: { broker: string; queueId: number }[] = [];
  for (const [broker, count] of Object.entries(queues)) {
    for (let queueId = 0; queueId < count; queueId += 1) places.push({ broker, queueId });
  }
  return pickPlace(mqttTopic, places);
}
