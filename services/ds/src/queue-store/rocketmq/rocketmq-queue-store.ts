import { pause } from '@lmqtt/common/pause';
import type { ClientId, Epoch, QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { firstLevel } from '../../rocketmq/mapping/topic-mapping.ts';
import { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import type { PositionMirror } from '../position-mirror.ts';
import type {
  Append,
  EndsWanted,
  InboundId,
  Loss,
  Outcome,
  PartitionEnd,
  QueueStore,
} from '../queue-store.ts';
import { BrokerReader } from './broker-reader.ts';
import { Brokers } from './brokers.ts';
import { ConsumerOffsets } from './consumer-offsets.ts';
import { Copies } from './copies.ts';
import { Dispatches } from './dispatches.ts';
import { messageOfError } from './error-text.ts';
import { LightQueues } from './light-queues.ts';
import { OnceAppends } from './once-appends.ts';
import { OpenIntents } from './open-intents.ts';
import type { RocketmqStoreOptions } from './options.ts';
import { Outcomes } from './outcomes.ts';
import { Sender } from './sender.ts';
import { TailPace } from './tail-pace.ts';
import { Tails } from './tails.ts';
import { Targets } from './targets.ts';
import { UsedTopics } from './used-topics.ts';

const readEachMs = 1000;
const startAgainMs = 500;
/** Properties and names of a stored message, which 4.x counts in its limit on messages. */
const besideBodyBytes = 65_536;

/**
 * The queue store on RocketMQ. A publish is one message of an ordinary topic that names the light
 * queues (LMQ) it is for; a partition of a queue is a broker. Offsets are in the stored message
 * only: they come by the tails, which read the ordinary queues. Everything is stored, also what no
 * queue is for.
 */
export class RocketmqQueueStore implements QueueStore {
  readonly #options: RocketmqStoreOptions;
  readonly #brokers: Brokers;
  readonly #topics: UsedTopics;
  readonly #targets: Targets;
  readonly #outcomes: Outcomes;
  readonly #sender: Sender;
  readonly #once: OnceAppends;
  readonly #intents: OpenIntents;
  readonly #dispatches: Dispatches;
  readonly #tails: Tails;
  readonly #pace: TailPace;
  readonly #lightQueues: LightQueues;
  readonly #offsets: ConsumerOffsets;
  readonly #timers: NodeJS.Timeout[] = [];
  #placementTimer: NodeJS.Timeout | undefined;
  /** Number of placements and moves that had taken effect when places were looked up anew. */
  #begun = 0;
  #arrived: (messages: Message[]) => void = () => undefined;
  #arriving: Message[] = [];
  #retained: Message[] = [];
  #isTelling = false;
  #isClosed = false;

  constructor(options: RocketmqStoreOptions) {
    this.#options = options;
    this.#brokers = new Brokers(options);
    this.#topics = new UsedTopics(options, this.#brokers);
    this.#targets = new Targets(options, this.#brokers, this.#topics);
    this.#outcomes = new Outcomes(options, new StoredReader());
    this.#sender = new Sender(options, this.#targets, this.#outcomes, (queue) =>
      this.#pace.isAhead(queue),
    );
    this.#intents = new OpenIntents(options, this.#brokers, this.#outcomes);
    const reader = new BrokerReader(options, this.#targets);
    this.#once = new OnceAppends(options, {
      ...{ targets: this.#targets, outcomes: this.#outcomes, reader },
      append: (append, done) => this.#sender.append([append], done),
      arrived: ({ message }) => {
        if (message.entries.length > 0) this.#arrived([message]);
      },
    });
    const copies = new Copies(options, this.#outcomes);
    const arrived = (messages: readonly StoredMessage[]): void => this.#arrive(messages);
    const gatherMs = (): number => this.#sender.gatherMs;
    this.#dispatches = new Dispatches(options, this.#topics, this.#outcomes, (append, once, done) =>
      this.#once.append(append, once, done),
    );
    this.#tails = new Tails(options, this.#topics, {
      ...{ options, reader, copies, dispatches: this.#dispatches, arrived, gatherMs },
    });
    this.#pace = new TailPace(options, this.#topics, this.#tails);
    this.#lightQueues = new LightQueues(options, this.#brokers, this.#topics, reader, copies);
    this.#offsets = new ConsumerOffsets(options, this.#brokers);
    this.#topics.onChange(() => {
      this.#targets.changed();
      this.#tails.share();
      this.#heedPlacements();
    });
  }

  /** Waits for name servers and brokers. Resolves when the default topic is there and read. */
  async start(): Promise<void> {
    const { settings, events } = this.#options;
    events.watch({
      pendingBytes: () => this.#sender.pendingBytes,
      lags: () => this.#tails.lags(),
      openIntents: () => this.#outcomes.seeking,
      detours: () => this.#options.detours?.count ?? 0,
      brokers: () => [...this.#brokers.all].map(({ name, answers }) => [name, answers ? 1 : 0]),
      nameServers: () =>
        [...this.#options.client.nameServersAnswer].map(([name, is]) => [name, is ? 1 : 0]),
    });
    for (;;) {
      await this.#brokers.refresh();
      try {
        await this.#topics.read();
        await this.#topics.use(settings.defaultTopic, true);
        break;
      } catch (error) {
        if (this.#isClosed) throw error;
        events.waiting(settings.defaultTopic, messageOfError(error));
        await pause(startAgainMs);
      }
    }
    await this.#brokers.connected();
    this.#tails.start();
    this.#readTailTopics();
    this.#every(readEachMs, async () => {
      await this.#topics.read();
      if ((await this.#options.detours?.read()) === true) this.#targets.changed();
      // A broker is known before anything is placed there: the placement takes effect later.
      if (this.#topics.placements.brokers.some((name) => this.#brokers.named(name) === undefined))
        await this.#brokers.refresh();
    });
    const followMs = Math.min(settings.refreshMs, Math.max(readEachMs, settings.brokerGoneMs / 3));
    this.#every(followMs, () => this.#follow());
  }

  append(batch: Append[], done: (answered: Append[]) => void): void {
    const [only] = batch;
    if (batch.length === 1 && only?.once !== undefined) this.#once.append(only, only.once, done);
    else this.#sender.append(batch, done);
  }

  /**
   * Outcome of an intent that was found open: to be asked when the ds that made it can send no
   * more, and again while it is unknown.
   */
  async outcome(clientId: ClientId, epoch: Epoch, packetId: number): Promise<Outcome> {
    if (this.#sender.isOpen({ clientId, packetId })) return 'unknown';
    return this.#intents.outcome({ clientId, epoch, packetId });
  }

  givenUp(inbound: InboundId): void {
    this.#options.intents.dropped([inbound]);
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    const lmq = this.#options.queues.placeOf(request.queue);
    if (lmq === undefined) return { messages: [], next: request.from, end: 0 };
    return this.#lightQueues.read(lmq, request);
  }

  async ends(queue: QueueId, wanted?: EndsWanted): Promise<PartitionEnd[]> {
    const lmq = this.#options.queues.placeOf(queue);
    if (lmq === undefined) return [];
    return this.#lightQueues.ends(lmq, wanted);
  }

  partitions(): readonly number[] {
    return this.#brokers.partitions;
  }

  /** A filter that begins with the name of a RocketMQ topic: others may store there, too. */
  async opened(filter: string): Promise<void> {
    await this.#targets.read(firstLevel(filter));
  }

  onArrivals(listener: (messages: Message[]) => void): void {
    this.#arrived = listener;
  }

  onLost(listener: (loss: Loss) => void): void {
    this.#lightQueues.onLost(listener);
  }

  /** RocketMQ removes by age. */
  trim(): void {}

  async drop(queue: QueueId): Promise<void> {
    const { queues } = this.#options;
    const lmq = queues.placeOf(queue);
    if (lmq === undefined) return;
    if (queues.atPlace(lmq).some((other) => other !== queue)) return;
    await this.#lightQueues.delete(lmq);
  }

  /** Drops the place of a closed queue, unless others share it. */
  async dropPlace(lmq: string): Promise<void> {
    if (this.#options.queues.atPlace(lmq).length > 0) return;
    await this.#lightQueues.delete(lmq);
  }

  /** Queues share buckets from now on: what names them by their own names is sent on. */
  async sharesBuckets(): Promise<void> {
    await this.#dispatches.prepare();
  }

  /** Brokers, each of which may have queues again that were dropped before its crash. */
  *returnedStores(): Iterable<{
    readonly name: string;
    readonly answersSinceMs: number | undefined;
    has(place: string): Promise<boolean>;
  }> {
    for (const broker of this.#brokers.all) {
      const { name, answersSinceMs } = broker;
      yield { name, answersSinceMs, has: (lmq) => this.#lightQueues.isAt(broker, lmq) };
    }
  }

  /** Positions in RocketMQ's own keeping. */
  get positions(): PositionMirror {
    return this.#offsets;
  }

  /** Every broker holds any number of light queues. */
  get holdsManyQueues(): boolean {
    return [...this.#brokers.all].every((broker) => broker.holdsManyQueues);
  }

  /** The largest packet whose message every broker takes; undefined: none has said. */
  get packetBytesMax(): number | undefined {
    const least = Math.min(...[...this.#brokers.all].map((each) => each.messageBytesMax));
    if (!Number.isFinite(least)) return undefined;
    return least - Math.min(besideBodyBytes, Math.floor(least / 2));
  }

  /** How long answers and arrivals may gather, since lanes have enough to send meanwhile. */
  get gatherMs(): number {
    return this.#sender.gatherMs;
  }

  /** Why it cannot store anything now; null: it can. */
  get failure(): string | null {
    const brokers = [...this.#brokers.all];
    if (brokers.length === 0) return 'no broker of RocketMQ is known';
    if (brokers.some(({ answers }) => answers)) return null;
    return `RocketMQ does not answer: ${brokers.map(({ name }) => name).join(', ')}`;
  }

  /** A fault with which messages are still stored; null: none. */
  get notice(): string | null {
    if (this.#brokers.isUnknown)
      return 'no name server of RocketMQ answers: routes that are known are used';
    const away = [...this.#brokers.all].filter(({ answers }) => !answers);
    if (away.length === 0) return null;
    return `away: ${away.map(({ name }) => name).join(', ')} of RocketMQ`;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#placementTimer);
    this.#pace.close();
    await this.#tails.stop();
    this.#offsets.close();
    this.#lightQueues.close();
    this.#outcomes.close();
    this.#sender.close();
    this.#brokers.close();
  }

  async #follow(): Promise<void> {
    await this.#brokers.refresh();
    if (this.#brokers.isUnknown) return;
    this.#targets.nameServersAnswer();
    await this.#topics.follow();
    this.#readTailTopics();
  }

  /**
   * Reads the topics of back ends that settings name. One that is not there now is asked for again.
   */
  #readTailTopics(): void {
    const { settings, events } = this.#options;
    for (const topic of settings.tailTopics.split(',').map((each) => each.trim())) {
      if (topic === '' || this.#topics.named(topic) !== undefined) continue;
      this.#topics.use(topic, false).catch((error: unknown) => {
        events.topicNotRead(topic, messageOfError(error));
      });
    }
  }

  /** Placements take effect at their times, whatever becomes of the work of each second. */
  #heedPlacements(): void {
    clearTimeout(this.#placementTimer);
    if (this.#isClosed) return;
    const { begun, nextMs } = this.#topics.placements;
    if (begun !== this.#begun) {
      this.#begun = begun;
      this.#targets.changed();
    }
    if (nextMs === undefined) return;
    // Not far ahead, since the wall clock may be set.
    const leftMs = Math.min(readEachMs, nextMs + 1 - this.#options.clock.nowMs());
    this.#placementTimer = setTimeout(() => this.#heedPlacements(), leftMs);
  }

  /** One run behind the other, as long as the store is open. */
  #every(ms: number, work: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#options.events.registryFailed('topics', messageOfError(error));
      }
      this.#heedPlacements();
      if (this.#isClosed) return;
      timer = setTimeout(() => void run(), ms);
      this.#timers[index] = timer;
    };
    let timer = setTimeout(() => void run(), ms);
    const index = this.#timers.push(timer) - 1;
  }

  #arrive(messages: readonly StoredMessage[]): void {
    this.#options.events.arrived(messages.length);
    const wantsRetained = this.#options.onRetained !== undefined;
    for (const { message } of messages) {
      if (message.entries.length > 0) this.#arriving.push(message);
      if (message.retain && wantsRetained) this.#retained.push(message);
    }
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => this.#tell());
  }

  /** Once a turn. */
  #tell(): void {
    this.#isTelling = false;
    const [arriving, retained] = [this.#arriving, this.#retained];
    this.#arriving = [];
    this.#retained = [];
    if (arriving.length > 0) this.#arrived(arriving);
    if (retained.length > 0) this.#options.onRetained?.(retained);
  }
}
