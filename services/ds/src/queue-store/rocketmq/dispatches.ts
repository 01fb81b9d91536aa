// Messages of back ends for queues that they do not name, or only by names of their own where these
// share a bucket. The ds that tails such a message sends it once more, for these queues, to a topic
// of the cluster's own at the same broker. What is sent on has a key made of the first message's
// place: a ds that takes a tail over reads back what was sent on before, and sends nothing a second
// time. What its predecessor may still have had under way is sent with the mark of a second copy
// (`Copies`).
//
// Retained messages have an order only where the MQTT topic has its place: one that is elsewhere is
// stored there, too, and so retained.
import { pause } from '@lmqtt/common/pause';
import { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { Append, Once } from '../queue-store.ts';
import {
  homeKeyPrefix,
  isFromBackEnd,
  isWhole,
  namesMissed,
  unmappedOf,
} from './back-end-message.ts';
import {
  type Dispatch,
  dispatchAgainMs,
  DispatchLanes,
  dispatchQueueId,
  type Missed,
} from './dispatch-lanes.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions, RocketmqStoreSettings } from './options.ts';
import type { OrdinaryQueue, QueueAt } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import { readGroup } from './read-group.ts';
import { isDenied } from '../../rocketmq/rights.ts';
import type { UsedTopics } from './used-topics.ts';

const pullMessages = 32;
const createdWithinMs = 5000;
/** How far clocks of brokers may be behind that of this ds. */
const clocksApartMs = 60_000;
/** A message of a back end is stored before it is sent on, by the same clock. */
const sameClockMs = 1000;
/** How long a broker that does not allow the topic is not asked again. */
const deniedMs = 30_000;

/** Stores a message where its MQTT topic has its place. */
type AppendOnce = (append: Append, once: Once, done: () => void) => void;

/**
 * Messages that were sent on before: their keys, and the end of the range that was looked through.
 */
interface Before {
  readonly keys: ReadonlySet<string>;
  readonly end: number;
}

interface DispatchOptions extends Pick<RocketmqStoreOptions, 'queues' | 'clock' | 'events'> {
  readonly settings: Pick<
    RocketmqStoreSettings,
    'dispatchTopic' | 'topicQueues' | 'pipelineMax' | 'tailPullsMax'
  >;
}

type Topics = Pick<UsedTopics, 'use' | 'follow'>;
type Seeker = Pick<Outcomes, 'seek'>;

const noMissed: readonly Missed[] = [];

/** For a reader of which only keys are wanted. */
const noSource = { partition: 0, queuesOf: () => [], placementOf: () => -1 };

export class Dispatches {
  readonly #options: DispatchOptions;
  readonly #topics: Topics;
  readonly #outcomes: Seeker;
  readonly #append: AppendOnce;

  constructor(options: DispatchOptions, topics: Topics, outcomes: Seeker, append: AppendOnce) {
    this.#options = options;
    this.#topics = topics;
    this.#outcomes = outcomes;
    this.#append = append;
  }

  /** For a tail that begins. */
  of(queue: OrdinaryQueue): TailDispatch {
    return new TailDispatch(this.#options, this.#topics, this.#outcomes, this.#append, queue);
  }

  /** Buckets are in use: the topic is made before the first message is sent on. */
  async prepare(): Promise<void> {
    await this.#topics.use(this.#options.settings.dispatchTopic, true);
  }
}

export class TailDispatch {
  readonly #options: DispatchOptions;
  readonly #topics: Topics;
  readonly #append: AppendOnce;
  readonly #queue: OrdinaryQueue;
  readonly #reader = new StoredReader();
  readonly #lanes: DispatchLanes;
  #place: QueueAt | undefined;
  /** Wall clock: what was stored before may have been sent on by another ds. */
  #beganMs: number;
  #before: Before | undefined;
  #unsure: number;
  /** Sent on, of ranges that the tail has not told yet. */
  readonly #done = new Set<string>();
  /** Calls that are not answered; each waits until it is known what those before it send. */
  #calls = 0;
  #turn: Promise<void> = Promise.resolve();
  /** The broker does not allow the topic of the cluster's own. */
  #denied: { readonly reason: string; readonly untilMs: number } | undefined;
  #isStopped = false;

  constructor(
    options: DispatchOptions,
    topics: Topics,
    outcomes: Seeker,
    append: AppendOnce,
    queue: OrdinaryQueue,
  ) {
    this.#options = options;
    this.#topics = topics;
    this.#append = append;
    this.#queue = queue;
    this.#beganMs = options.clock.nowMs();
    this.#unsure = this.#underWayMax;
    this.#lanes = new DispatchLanes(options, {
      broker: queue.broker,
      outcomes,
      home: ({ stored, key }) => this.#sendHome(stored, homeKeyPrefix + key),
      done: (key) => this.#done.add(key),
    });
  }

  /** Messages that have to be sent on before they are told. */
  missed(messages: readonly StoredMessage[]): readonly Missed[] {
    const { queues, settings } = this.#options;
    if (queues.missed === undefined || this.#queue.topic === settings.dispatchTopic)
      return noMissed;
    let missed: Missed[] | undefined;
    for (const stored of messages) {
      const { lmqNames, message } = stored;
      // Messages that this cluster has stored name all their queues themselves.
      if (message.publisher !== '' || !isFromBackEnd(stored)) continue;
      const whole = isWhole(stored);
      if (!whole && lmqNames.length === 0) continue;
      const names = namesMissed(queues, stored, whole);
      const goesHome = whole && message.retain && message.orderKey === undefined;
      if (names.length > 0 || goesHome) (missed ??= []).push({ stored, lmqNames: names, goesHome });
    }
    return missed ?? noMissed;
  }

  /**
   * All of them are stored when this resolves, those of one MQTT topic in the order of the calls.
   * Rejects where that is not possible now, and with it all calls that come before it has rejected;
   * nothing of them is under way then.
   */
  async send(missed: readonly Missed[]): Promise<void> {
    this.#calls += 1;
    try {
      await this.#sendInTurn(missed);
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0 && !this.#isStopped) this.#lanes.resume();
    }
  }

  /** A range that will not be read again. */
  told(messages: readonly StoredMessage[]): void {
    if (this.#done.size > 0) for (const stored of messages) this.#done.delete(this.#keyOf(stored));
    const { queues, events, settings } = this.#options;
    if (queues.missed === undefined || this.#queue.topic === settings.dispatchTopic) return;
    for (const stored of messages) {
      if (stored.message.publisher !== '' || !isFromBackEnd(stored)) continue;
      const reason = unmappedOf(stored, queues);
      if (reason !== undefined) events.unmapped(reason, stored, this.#queue.broker.name);
    }
  }

  /** The tail goes back, and meets again what was sent on. */
  moved(): void {
    this.#beganMs = this.#options.clock.nowMs();
    this.#before = undefined;
    this.#unsure = this.#underWayMax;
    this.#done.clear();
    this.#lanes.forget();
  }

  stop(): void {
    this.#isStopped = true;
    this.#lanes.fail(new Error('the tail was stopped'));
  }

  /** Messages that a predecessor can have had under way: those of all ranges of its tail. */
  get #underWayMax(): number {
    return pullMessages * (this.#options.settings.tailPullsMax + 1);
  }

  async #sendInTurn(missed: readonly Missed[]): Promise<void> {
    const before = this.#turn;
    let goOn: () => void = () => undefined;
    this.#turn = new Promise((resolve) => (goOn = resolve));
    let sent: Promise<void>;
    try {
      await before;
      if (missed.some(({ lmqNames }) => lmqNames.length > 0)) {
        const place = await this.#found();
        if (place !== undefined) await this.#readBackOnce(missed, place);
      }
      sent = this.#lanes.add(this.#dispatchesOf(missed));
    } catch (error) {
      this.#lanes.fail(error as Error);
      throw error;
    } finally {
      goOn();
    }
    await sent.catch((error: unknown) => {
      this.#lanes.fail(error as Error);
      throw error;
    });
  }

  /** In the order of their offsets; without those that are known to be stored. */
  #dispatchesOf(missed: readonly Missed[]): readonly Dispatch[] {
    const dispatches: Dispatch[] = [];
    for (const each of missed) {
      const { stored } = each;
      const key = this.#keyOf(stored);
      if (this.#done.has(key)) continue;
      let again = -1;
      if (this.#before !== undefined && this.#isOld(stored)) {
        const isKnown = this.#before.keys.has(key);
        // Before the first that is not known, the predecessor had nothing under way.
        if (!isKnown || this.#unsure < this.#underWayMax) this.#unsure -= 1;
        if (isKnown) {
          this.#options.events.dispatched('known');
          this.#done.add(key);
          continue;
        }
        if (this.#unsure >= 0) again = this.#before.end;
      }
      dispatches.push({ ...each, key, again });
    }
    return dispatches;
  }

  /** undefined: the broker does not allow the topic, and no message waits for that. */
  async #found(): Promise<QueueAt | undefined> {
    if (this.#place !== undefined) return this.#place;
    const { clock, settings } = this.#options;
    if (this.#denied !== undefined && clock.monotonicMs() < this.#denied.untilMs) return undefined;
    try {
      this.#place = await this.#find();
      this.#denied = undefined;
    } catch (error) {
      const topic = settings.dispatchTopic;
      const queues = { readQueues: settings.topicQueues, writeQueues: settings.topicQueues };
      // Whether the broker refuses it for good.
      const asked = await this.#connection
        .createTopic({ topic, ...queues })
        .catch((refused: unknown) => refused);
      if (!isDenied(asked)) throw error;
      const untilMs = clock.monotonicMs() + deniedMs;
      const reason = `${topic}: ${asked.message}`;
      this.#denied = { reason, untilMs };
      this.#lanes.denied(reason);
    }
    return this.#place;
  }

  async #find(): Promise<QueueAt> {
    const { clock, settings } = this.#options;
    const { dispatchTopic: topic, topicQueues } = settings;
    const { broker } = this.#queue;
    const name = `${topic}/${broker.name}/${dispatchQueueId}`;
    const used = await this.#topics.use(topic, true);
    const untilMs = clock.monotonicMs() + createdWithinMs;
    while (!used.queues.has(name) && !this.#isStopped) {
      await broker.connection?.createTopic({
        ...{ topic, readQueues: topicQueues, writeQueues: topicQueues },
      });
      await this.#topics.follow();
      if (clock.monotonicMs() > untilMs) throw new Error(`${broker.name} has no topic ${topic}`);
      await pause(dispatchAgainMs);
    }
    const place = { topic, broker, queueId: dispatchQueueId };
    this.#lanes.found(place, await this.#connection.maxOffset(place));
    return place;
  }

  /**
   * For no queue. A ds that takes the tail over may do it once more, for the last of each topic: the
   * same is retained then.
   */
  async #sendHome({ message, storedMs }: StoredMessage, key: string): Promise<void> {
    const lane = `\0${this.#queue.name}\0${message.topic}`;
    const once = { key, sinceMs: storedMs, again: false };
    for (;;) {
      if (this.#isStopped) throw new Error('the tail was stopped');
      const append: Append = {
        ...{ message, queues: [], lane, inbound: undefined, once },
        ...{ reasonCode: 0, orderKey: undefined },
      };
      await new Promise<void>((resolve) => this.#append(append, once, resolve));
      if (append.reasonCode === 0) return;
      if (append.final === true) {
        this.#options.events.notDispatched(message.topic, `reason code ${append.reasonCode}`);
        return;
      }
      await pause(dispatchAgainMs);
    }
  }

  /** Before the first that another ds may have sent on. */
  async #readBackOnce(missed: readonly Missed[], place: QueueAt): Promise<void> {
    if (this.#before !== undefined) return;
    const old = missed.filter(({ stored }) => this.#isOld(stored));
    if (old.length === 0) return;
    const sinceMs = Math.min(...old.map(({ stored }) => stored.storedMs)) - sameClockMs;
    this.#before = await this.#readBack(place, sinceMs);
  }

  #isOld({ storedMs }: StoredMessage): boolean {
    return storedMs < this.#beganMs + clocksApartMs;
  }

  /** `sinceMs`: by the broker's clock. */
  async #readBack(place: QueueAt, sinceMs: number): Promise<Before> {
    const keys = new Set<string>();
    const end = await this.#connection.maxOffset(place);
    if (end > 0) {
      let next = Math.max(0, await this.#connection.searchOffset(place, sinceMs));
      while (next < end) {
        const answer = await this.#pull(place, next);
        if (answer.kind === 'failed') throw new Error(answer.reason);
        if (answer.kind === 'found') {
          for (const { key } of this.#reader.read(answer.body, noSource))
            if (key !== undefined) keys.add(key);
        } else if (answer.next <= next) break;
        ({ next } = answer);
      }
    }
    return { keys, end };
  }

  #pull({ topic }: QueueAt, offset: number): Promise<PullAnswer> {
    return new Promise((resolve, reject) => {
      try {
        const place = { group: readGroup, topic, offset, messagesMax: pullMessages };
        this.#connection.pull(
          { ...place, queueId: dispatchQueueId, suspendMs: 0, subscription: '*' },
          resolve,
        );
      } catch (error) {
        reject(new Error(messageOfError(error), { cause: error }));
      }
    });
  }

  get #connection(): NonNullable<OrdinaryQueue['broker']['connection']> {
    const { broker } = this.#queue;
    if (broker.connection === undefined) throw new Error(`${broker.name} is not there`);
    return broker.connection;
  }

  /** One message has one, whichever ds reads it; not another one in its place. */
  #keyOf({ queueOffset, physicalOffset }: StoredMessage): string {
    return `${this.#queue.name}/${queueOffset}/${physicalOffset}`;
  }
}
