// Light queues as readers see them: what is stored between two offsets, and where they begin and
// end. One is on every broker; its partition is the broker's number. An answer of the broker brings
// 32 messages at most, so that more are asked for in ranges at once.
import { isTime, pastAllOffsets, positionSince, timeOf } from '@lmqtt/common/cursor';
import type { QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import { isTopicForMessages } from '../../rocketmq/mapping/rocketmq-topic.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { RemotingError } from '../../rocketmq/remoting/errors.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { EndsWanted, Loss, PartitionEnd } from '../queue-store.ts';
import type { Broker } from './broker.ts';
import type { BrokerReader } from './broker-reader.ts';
import type { Brokers } from './brokers.ts';
import type { Copies } from './copies.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import { PullSlots } from './pull-slots.ts';
import { ReadAhead } from './read-ahead.ts';
import { readGroup } from './read-group.ts';
import { refusalOf } from './refusal.ts';
import type { UsedTopics } from './used-topics.ts';

const pullMessages = 32;
const endsKeptMax = 20_000;
const topicsKeptMax = 1000;
/** A broker that answers later than that is not waited for by a SUBSCRIBE. */
const endsWaitMs = 2000;

type Pulled = Exclude<PullAnswer, { kind: 'failed' }>;

interface Reached {
  readonly answers: readonly Pulled[];
  /** All of what was asked for is there. */
  readonly isWhole: boolean;
}

/** Answers of one read, in the order of offsets. */
interface Pulls {
  readonly answers: readonly Pulled[];
  readonly count: number;
}

export class LightQueues {
  readonly #options: RocketmqStoreOptions;
  readonly #brokers: Brokers;
  readonly #topics: UsedTopics;
  readonly #reader: BrokerReader;
  readonly #copies: Copies;
  readonly #slots: PullSlots;
  readonly #ahead = new ReadAhead<Pulls>();
  /** End of each queue when it was read last, to ask for so much at once. */
  readonly #ends = new Map<string, number>();
  /** Whether messages of a RocketMQ topic are for devices. */
  readonly #forDevices = new Map<string, boolean>();
  #lost: (loss: Loss) => void = () => undefined;

  constructor(
    options: RocketmqStoreOptions,
    brokers: Brokers,
    topics: UsedTopics,
    reader: BrokerReader,
    copies: Copies,
  ) {
    this.#options = options;
    this.#brokers = brokers;
    this.#topics = topics;
    this.#reader = reader;
    this.#copies = copies;
    this.#slots = new PullSlots(options.settings.readPullsMax);
  }

  onLost(listener: (loss: Loss) => void): void {
    this.#lost = listener;
  }

  /** `lmq`: the name of the queue that `request` names by its number. */
  async read(lmq: string, request: ReadRequest): Promise<ReadAnswer> {
    const broker = this.#brokers.numbered(request.partition);
    if (broker === undefined) {
      if (this.#brokers.isForgotten(request.partition))
        return { messages: [], next: pastAllOffsets, end: pastAllOffsets };
      if (isTime(request.from)) throw unavailable(`no broker has number ${request.partition}`);
      return { messages: [], next: request.from, end: 0 };
    }
    const { from } = request;
    if (isTime(from)) {
      const found = await this.#storedSince(broker, lmq, timeOf(from));
      return this.read(lmq, { ...request, from: found });
    }
    if (from === 0 && broker.sinceMs !== undefined) {
      const found = await this.#storedSince(broker, lmq, broker.sinceMs);
      if (found > 0) return this.read(lmq, { ...request, from: found });
    }
    const key = `${broker.name} ${lmq}`;
    const begun = this.#ahead.take(key, from);
    // This one takes a queue from end to end.
    if (begun !== undefined) this.#readAhead(broker, lmq, key, begun.until, request);
    let pulls = await (begun?.found ?? this.#pulls(broker, lmq, key, request));
    // More may have come since it was begun, of which nobody was told who reads only now.
    if (begun !== undefined && reachedBy(pulls) < begun.until)
      pulls = await this.#pulls(broker, lmq, key, request);
    const { answers, count } = pulls;
    const first = answers[0]!;
    const end = Math.max(0, ...answers.map(({ max }) => max));
    this.#keepEnd(key, end);
    if (first.min > from && first.max > from) {
      this.#removed(request, lmq, broker, first.min);
      return this.read(lmq, { ...request, from: first.min });
    }
    const answer = await this.#answerOf(broker, request, answers, end);
    const isFull = answer.next === from + request.messagesMax;
    if (begun === undefined && isFull) this.#readAhead(broker, lmq, key, answer.next, request);
    this.#options.events.read(count, answer.messages.length);
    return answer;
  }

  close(): void {
    this.#ahead.close();
  }

  /** `like`: the read before it. */
  #readAhead(broker: Broker, lmq: string, key: string, from: number, like: ReadRequest): void {
    if ((this.#ends.get(key) ?? 0) <= from) return;
    const until = from + like.messagesMax;
    this.#ahead.begin(key, from, until, () => this.#pulls(broker, lmq, key, { ...like, from }));
  }

  async #pulls(broker: Broker, lmq: string, key: string, request: ReadRequest): Promise<Pulls> {
    const wanted = Math.max(1, request.messagesMax);
    const { from } = request;
    const answers: Pulled[] = [];
    let end = this.#ends.get(key) ?? 0;
    let count = 0;
    if (end <= from + pullMessages || wanted <= pullMessages) {
      const first = await this.#pull(broker, lmq, from, Math.min(wanted, pullMessages));
      count += 1;
      answers.push(first);
      end = first.max;
    }
    const reached = Math.max(from, answers[0]?.next ?? from);
    const until = Math.min(end, from + wanted);
    if (reached < until && mayGoOn(answers, request.bytesMax)) {
      const ranges: Promise<Reached>[] = [];
      for (let at = reached; at < until; at += pullMessages) {
        ranges.push(this.#range(broker, lmq, at, Math.min(until, at + pullMessages)));
      }
      count += ranges.length;
      for (const range of await Promise.all(ranges)) {
        answers.push(...range.answers);
        // A range behind it would leave a gap.
        if (!range.isWhole) break;
      }
    }
    return { answers, count };
  }

  /** Ends at every known broker; one that cannot be asked now is read from the time on, later. */
  async ends(lmq: string, wanted: EndsWanted = 'all'): Promise<PartitionEnd[]> {
    const brokers = [...this.#brokers.all];
    if (brokers.length === 0) throw unavailable('no broker of RocketMQ is known');
    const now = positionSince(this.#options.clock.nowMs());
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), endsWaitMs);
    });
    const found = Promise.all(
      brokers.map(async (broker) => {
        const { partition } = broker;
        const asked = broker.answers ? this.#endOf(broker, lmq, wanted) : undefined;
        const end = asked && Promise.race([asked, tooLate]);
        return (await end) ?? { partition, first: now, end: now };
      }),
    );
    return found.finally(() => clearTimeout(timer));
  }

  /** undefined: the broker does not say. */
  async #endOf(broker: Broker, lmq: string, wanted: EndsWanted): Promise<PartitionEnd | undefined> {
    const { connection, name, partition, sinceMs } = broker;
    const place = { topic: lmq, queueId: 0 };
    try {
      if (wanted === 'without first') {
        const end = await connection?.maxOffset(place);
        return end === undefined ? undefined : { partition, first: end, end };
      }
      const [end, min, since] = await Promise.all([
        connection?.maxOffset(place),
        connection?.minOffset(place),
        sinceMs === undefined ? 0 : this.#storedSince(broker, lmq, sinceMs),
      ]);
      if (end === undefined || min === undefined) return undefined;
      const first = Math.min(Math.max(0, min, since), end);
      return { partition, first, end, ...(since > 0 ? { owedFrom: Math.min(since, end) } : {}) };
    } catch (error) {
      // The queue would not be read later, either.
      if (isDenied(error))
        throw new StoreFailure(`${name}: ${error.message}`, ReasonCode.notAuthorized, error);
      return undefined;
    }
  }

  /** SEARCH_OFFSET_BY_TIMESTAMP, 29; past the newest message 4.9 answers with that, not the end. */
  async #storedSince(broker: Broker, lmq: string, timeMs: number): Promise<number> {
    const { connection } = broker;
    if (connection?.up !== true) throw unavailable(`broker ${broker.name} is not there`);
    try {
      const place = { topic: lmq, queueId: 0 };
      const max = await connection.maxOffset(place);
      if (max === 0) return 0;
      const found = await connection.searchOffset(place, timeMs);
      const offset = Math.min(max, Math.max(0, found));
      if (offset === max) return max;
      const answer = await this.#pull(broker, lmq, offset, 1);
      if (answer.kind !== 'found') return offset;
      const stored = this.#reader.read(answer.body, broker)[0];
      return stored !== undefined && stored.storedMs < timeMs ? offset + 1 : offset;
    } catch (error) {
      throw unavailable(`broker ${broker.name}: ${messageOfError(error)}`, error);
    }
  }

  /** Others may share it: then it is not one that came back. */
  async isAt(broker: Broker, lmq: string): Promise<boolean> {
    if (this.#options.queues.atPlace(lmq).length > 0) return false;
    const { connection } = broker;
    if (connection?.up !== true) throw unavailable(`broker ${broker.name} is not there`);
    try {
      return (await connection.maxOffset({ topic: lmq, queueId: 0 })) > 0;
    } catch (error) {
      throw unavailable(`broker ${broker.name}: ${messageOfError(error)}`, error);
    }
  }

  /**
   * DELETE_TOPIC_IN_BROKER, 215. A consumer offset may stay there, and would be past what comes.
   */
  async delete(lmq: string): Promise<void> {
    await Promise.all(
      this.#holders().map(async ({ name, connection }) => {
        if (connection === undefined) throw unavailable(`broker ${name} is not there`);
        try {
          await connection.deleteTopic(lmq);
          this.#ahead.forget(`${name} ${lmq}`);
          this.#ends.delete(`${name} ${lmq}`);
          await connection.updateConsumerOffset(readGroup, { topic: lmq, queueId: 0 }, 0);
        } catch (error) {
          throw unavailable(`broker ${name}: ${messageOfError(error)}`, error);
        }
      }),
    );
  }

  /** Brokers that hold topics in use; one that has left for good has nothing that can be read. */
  #holders(): Broker[] {
    const placed = new Set<string>();
    for (const { name } of this.#topics.all) {
      const latest = this.#topics.placements.of(name).at(-1);
      for (const broker of Object.keys(latest?.queues ?? {})) placed.add(broker);
    }
    return [...this.#brokers.all].filter(({ name }) => placed.has(name));
  }

  async #range(broker: Broker, lmq: string, from: number, until: number): Promise<Reached> {
    const answers: Pulled[] = [];
    let next = from;
    while (next < until) {
      const answer = await this.#pull(broker, lmq, next, until - next);
      answers.push(answer);
      if (answer.next <= next || answer.next > answer.max) break;
      ({ next } = answer);
    }
    return { answers, isWhole: next >= until };
  }

  async #pull(broker: Broker, lmq: string, offset: number, messagesMax: number): Promise<Pulled> {
    const { connection } = broker;
    // A request without a connection waits for one, and would hold up other reads.
    if (connection?.up !== true) throw unavailable(`broker ${broker.name} is not there`);
    await this.#slots.take(broker);
    const answer = await new Promise<PullAnswer>((resolve) => {
      const fields = { group: readGroup, topic: lmq, queueId: 0, offset, messagesMax };
      connection.pull({ ...fields, suspendMs: 0, subscription: '*' }, resolve);
    });
    this.#slots.give(broker);
    if (answer.kind === 'failed') throw unavailable(`broker ${broker.name}: ${answer.reason}`);
    return answer;
  }

  async #answerOf(
    broker: Broker,
    { queue, bytesMax, messagesMax, from }: ReadRequest,
    answers: readonly Pulled[],
    end: number,
  ): Promise<ReadAnswer> {
    const messages: Message[] = [];
    let next = from;
    let bytes = 0;
    for (const answer of answers) {
      if (answer.kind === 'found') {
        let stored = this.#forDevicesOf(this.#reader.read(answer.body, broker));
        if (this.#copies.isSuspect(stored)) stored = await this.#copies.without(stored, broker);
        for (const { message } of stored) {
          const offset = offsetIn(message, queue, broker.partition);
          if (offset < next) continue;
          bytes += message.heldBytes;
          const isFull = messages.length >= messagesMax || bytes > bytesMax;
          if (isFull && messages.length > 0) return { messages, next, end };
          messages.push(message);
          next = offset + 1;
        }
      }
      // Past a hole; code 21 beyond the end names another place, which is none to go on from.
      if (answer.next > next && answer.next <= end) ({ next } = answer);
    }
    return { messages, next, end };
  }

  /**
   * Without messages of RocketMQ's own topics. A broker indexes what it keeps there under the light
   * queues that the message names: a transaction that is not committed, a message that waits for
   * its time or its next try, a dead letter. It is indexed again under its own topic when it is
   * sent.
   */
  #forDevicesOf(stored: StoredMessage[]): StoredMessage[] {
    for (const { topic } of stored) {
      if (this.#isForDevices(topic)) continue;
      const kept = stored.filter((each) => this.#isForDevices(each.topic));
      this.#options.events.notForDevices(stored.length - kept.length);
      return kept;
    }
    return stored;
  }

  #isForDevices(topic: string): boolean {
    const known = this.#forDevices.get(topic);
    if (known !== undefined) return known;
    if (this.#forDevices.size >= topicsKeptMax) this.#forDevices.clear();
    const isFor = isTopicForMessages(topic);
    this.#forDevices.set(topic, isFor);
    return isFor;
  }

  #removed(
    { queue, partition, from }: ReadRequest,
    lmq: string,
    broker: Broker,
    min: number,
  ): void {
    this.#options.events.lost(lmq, broker.name, min - from);
    this.#lost({ queue, partition, first: min, messages: min - from });
  }

  #keepEnd(key: string, end: number): void {
    if (this.#ends.size >= endsKeptMax) this.#ends.clear();
    this.#ends.set(key, end);
  }
}

function isDenied(error: unknown): error is RemotingError {
  return (
    error instanceof RemotingError &&
    refusalOf(error.code, error.remark).reasonCode === ReasonCode.notAuthorized
  );
}

function reachedBy({ answers }: Pulls): number {
  return Math.max(...answers.map(({ next }) => next));
}

function mayGoOn(answers: readonly Pulled[], bytesMax: number): boolean {
  let bytes = 0;
  for (const answer of answers) if (answer.kind === 'found') bytes += answer.body.length;
  return bytes < bytesMax;
}

/** −1: it is not in this queue. */
function offsetIn({ entries }: Message, queue: QueueId, partition: number): number {
  for (const entry of entries)
    if (entry.queue === queue && entry.partition === partition) return entry.offset;
  return -1;
}

function unavailable(reason: string, cause?: unknown): StoreFailure {
  return new StoreFailure(`RocketMQ: ${reason}`, ReasonCode.serverUnavailable, cause);
}
