// The RocketMQ topics that carry MQTT: recorded in the registry when they are first used, so that
// every ds reads their ordinary queues from then on.
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { isRecord } from '../../rocketmq/remoting/json.ts';
import type { BrokerRoute, TopicRoute } from '../../rocketmq/remoting/requests/route.ts';
import type { Broker } from './broker.ts';
import type { Brokers } from './brokers.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import { OrdinaryQueue } from './ordinary-queue.ts';
import { Placements } from './placements.ts';

/** Kind of the records of used topics in the registry. */
export const usedTopicRecords = 'rocketmq-topic';
const createdWithinMs = 5000;
const lookAgainMs = 100;
const followAgainMs = 250;

interface UsedTopic {
  readonly name: string;
  /** Made by us: on every broker, read from the beginning. */
  readonly ours: boolean;
  /**
   * Offsets at which reading starts, by the name of the ordinary queue; 0 for those that came
   * later.
   */
  readonly starts: Readonly<Record<string, number>>;
  /** Every ordinary queue of it, those of brokers that are away included. */
  readonly queues: Map<string, OrdinaryQueue>;
}

type Options = Pick<RocketmqStoreOptions, 'client' | 'records' | 'clock' | 'events' | 'settings'>;

export class UsedTopics {
  readonly placements: Placements;
  readonly #options: Options;
  readonly #brokers: Brokers;
  readonly #topics = new Map<string, UsedTopic>();
  readonly #using = new Map<string, Promise<UsedTopic>>();
  readonly #following = new Set<string>();
  #changed: () => void = () => undefined;

  constructor(options: Options, brokers: Brokers) {
    this.#options = options;
    this.#brokers = brokers;
    this.placements = new Placements(options.records, options.clock);
  }

  /** Topics, queues or placements are others than before. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  get all(): Iterable<UsedTopic> {
    return this.#topics.values();
  }

  named(topic: string): UsedTopic | undefined {
    return this.#topics.get(topic);
  }

  /** Rejects with StoreFailure where it is not there and cannot be made. */
  use(topic: string, mayCreate: boolean): Promise<UsedTopic> {
    const known = this.#topics.get(topic);
    if (known !== undefined && this.placements.of(topic).length > 0) return Promise.resolve(known);
    let using = this.#using.get(topic);
    if (using === undefined) {
      using = this.#use(topic, mayCreate).finally(() => this.#using.delete(topic));
      this.#using.set(topic, using);
    }
    return using;
  }

  /** Reads the records of other ds nodes. */
  async read(): Promise<void> {
    const placed = await this.placements.read();
    let grown = false;
    for (const [topic, text] of await this.#options.records.all(usedTopicRecords)) {
      const known = this.#topics.get(topic);
      if (known === undefined) {
        await this.#know(topic, text);
        grown = true;
      } else if (known.queues.size === 0) {
        // Met before its brokers were.
        const route = await this.#options.client.route(topic);
        if (route !== undefined && this.#takeQueues(known, route)) grown = true;
      }
    }
    if (placed || grown) this.#changed();
  }

  /** Looks where the topics are now; new placements where that has changed. */
  async follow(): Promise<void> {
    for (const topic of [...this.#topics.values()]) {
      const route = await this.#options.client.route(topic.name);
      if (this.#forgetQueues(topic)) this.#changed();
      if (topic.ours) await this.#spread(topic.name, route);
      if (route !== undefined) await this.#take(topic, route);
    }
  }

  /**
   * A broker says that it has not the queue of the topic, which has fewer than before: what takes
   * its place is recorded at once.
   */
  async followRefused(name: string): Promise<void> {
    const topic = this.#topics.get(name);
    if (topic === undefined || this.#following.has(name)) return;
    this.#following.add(name);
    try {
      await this.placements.read();
      const route = await this.#options.client.route(name);
      if (route !== undefined) await this.#take(topic, route);
      this.#changed();
      // The name server may hear of it later than who sends there.
      await pause(followAgainMs);
    } finally {
      this.#following.delete(name);
    }
  }

  async #take(topic: UsedTopic, route: TopicRoute): Promise<void> {
    const hasChanged = this.#takeQueues(topic, route);
    await this.#place(topic.name, route);
    if (hasChanged) this.#changed();
  }

  async #use(topic: string, mayCreate: boolean): Promise<UsedTopic> {
    const { client, records } = this.#options;
    let route = await client.route(topic);
    const isThere = route !== undefined && route.brokers.some(({ writable }) => writable);
    const ours = !isThere && mayCreate;
    if (ours) {
      await this.#spread(topic, route);
      route = await this.#routeSoon(topic);
    }
    if (route === undefined) {
      const reason = `RocketMQ has no topic ${topic}, or no broker of it is there`;
      throw new StoreFailure(reason, ReasonCode.serverUnavailable);
    }
    const known = this.#topics.get(topic);
    if (known === undefined) {
      const starts = ours ? {} : await this.#ends(topic, route);
      const text = JSON.stringify({ ours, starts });
      await this.#know(topic, await records.remember(usedTopicRecords, topic, text), route);
    } else {
      this.#takeQueues(known, route);
    }
    await this.#place(topic, route);
    this.#changed();
    return this.#topics.get(topic)!;
  }

  /** UPDATE_AND_CREATE_TOPIC, 17, on the brokers that have not got it. */
  async #spread(topic: string, route: TopicRoute | undefined): Promise<void> {
    const { events, settings } = this.#options;
    const having = new Set(route?.brokers.map(({ name }) => name));
    const count = settings.topicQueues;
    for (const broker of this.#brokers.all) {
      const { connection } = broker;
      if (connection === undefined || broker.missingMs > 0 || having.has(broker.name)) continue;
      try {
        await connection.createTopic({ topic, readQueues: count, writeQueues: count });
      } catch (error) {
        events.topicNotCreated(topic, broker.name, messageOfError(error));
      }
    }
  }

  async #routeSoon(topic: string): Promise<TopicRoute | undefined> {
    const { client, clock } = this.#options;
    const endMs = clock.monotonicMs() + createdWithinMs;
    for (;;) {
      const route = await client.route(topic);
      if (route !== undefined && route.brokers.length > 0) return route;
      if (clock.monotonicMs() > endMs) return undefined;
      await pause(lookAgainMs);
    }
  }

  async #ends(topic: string, route: TopicRoute): Promise<Record<string, number>> {
    const ends: Record<string, number> = {};
    const asked: Promise<void>[] = [];
    for (const [name, broker, queueId] of this.#placesIn(topic, route)) {
      const { connection } = broker;
      if (connection === undefined) continue;
      asked.push(
        connection.maxOffset({ topic, queueId }).then((offset) => {
          ends[name] = offset;
        }),
      );
    }
    await Promise.all(asked);
    return ends;
  }

  async #know(topic: string, text: string, knownRoute?: TopicRoute): Promise<void> {
    const route = knownRoute ?? (await this.#options.client.route(topic));
    if (this.#topics.has(topic)) return;
    const value: unknown = JSON.parse(text);
    const record = isRecord(value) ? value : {};
    const starts: Record<string, number> = {};
    for (const [name, start] of Object.entries(isRecord(record['starts']) ? record['starts'] : {}))
      if (typeof start === 'number') starts[name] = start;
    const used = { name: topic, ours: record['ours'] === true, starts, queues: new Map() };
    this.#topics.set(topic, used);
    if (route !== undefined) this.#takeQueues(used, route);
  }

  *#placesIn(topic: string, route: TopicRoute): Iterable<readonly [string, Broker, number]> {
    for (const { name, readQueues, writeQueues } of route.brokers) {
      const broker = this.#brokers.named(name);
      if (broker === undefined) continue;
      for (let id = 0; id < Math.max(readQueues, writeQueues); id += 1)
        yield [`${topic}/${name}/${id}`, broker, id];
    }
  }

  /** Drops the queues of brokers that were forgotten; true: there were some. */
  #forgetQueues({ queues }: UsedTopic): boolean {
    let changed = false;
    for (const [name, { broker }] of queues)
      if (broker.isForgotten) changed = queues.delete(name) || changed;
    return changed;
  }

  /** True: they are others than before. */
  #takeQueues({ name: topic, queues }: UsedTopic, route: TopicRoute): boolean {
    let changed = false;
    const there = new Set<string>();
    for (const [name, broker, queueId] of this.#placesIn(topic, route)) {
      there.add(name);
      if (queues.get(name)?.broker === broker) continue;
      queues.set(name, new OrdinaryQueue(topic, broker, queueId));
      changed = true;
    }
    const brokers = new Set(route.brokers.map(({ name }) => name));
    for (const [name, { broker }] of queues) {
      // The broker has the topic, with fewer queues: nobody can read the others any more.
      if (there.has(name) || !brokers.has(broker.name)) continue;
      queues.delete(name);
      changed = true;
    }
    return changed;
  }

  /** A broker that comes is taken in at once, one that is away goes after a time. */
  async #place(topic: string, route: TopicRoute): Promise<void> {
    const { settings, events } = this.#options;
    const queues: Record<string, number> = {};
    const latest = this.placements.of(topic).at(-1);
    for (const [name, count] of Object.entries(latest?.queues ?? {})) {
      const broker = this.#brokers.named(name);
      if (broker !== undefined && broker.missingMs < settings.brokerGoneMs) queues[name] = count;
    }
    for (const broker of route.brokers) {
      if (this.#brokers.named(broker.name) === undefined) continue;
      if (isUsable(broker)) queues[broker.name] = broker.writeQueues;
      else if (broker.master !== undefined) delete queues[broker.name];
    }
    const names = Object.keys(queues);
    if (names.length === 0) return;
    const before = this.placements.of(topic).length;
    const there = new Map(route.brokers.map((broker) => [broker.name, broker]));
    await this.placements.record(topic, queues, (broker, queueId) =>
      hasNoMore(there.get(broker), queueId),
    );
    const now = this.placements.of(topic);
    if (now.length > before) events.placed(topic, now.at(-1)!.number, names);
  }
}

/** A broker refuses what is sent to a queue that is neither to be read nor to be written. */
function hasNoMore(broker: BrokerRoute | undefined, queueId: number): boolean {
  if (broker?.master === undefined) return false;
  return queueId >= Math.max(broker.readQueues, broker.writeQueues);
}

function isUsable(broker: BrokerRoute): boolean {
  return broker.writable && broker.master !== undefined && broker.writeQueues > 0;
}
