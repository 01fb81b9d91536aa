// What became of a send of which nothing certain came back: the ordinary queue is read for its key.
// It is not there only if it is not there after all that the broker may still have had in its hands
// is stored or thrown away: after an answer that it gave to something asked later, and then the time
// for which it lets sends wait. A message of no meaning is stored behind it then: when that can be
// read, everything before it can.
import type { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { QueueAt } from './ordinary-queue.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import { propertyText, type SendAnswer } from '../../rocketmq/remoting/requests/send-message.ts';
import { rocket } from '../../rocketmq/message/property-names.ts';
import { readGroup } from './read-group.ts';

const marginMs = 1000;
const againMs = 250;
const pullMessages = 32;
/** New light queues hold up everybody's index. */
const indexedWithinMs = 60_000;
/** Neither devices nor those who read what devices publish get it. */
const markProperties = propertyText([[rocket.tags, 'LMQTT_MARK']]);
const markBody = Buffer.from('mark');

export interface Sought {
  readonly key: string;
  readonly queue: QueueAt;
  /** It is at this offset or a higher one, if it is stored. */
  readonly from: number;
}

/** −1: it is not stored and will not be; undefined: the store was closed before that was known. */
export type Found = number | undefined;

export class Outcomes {
  readonly #options: RocketmqStoreOptions;
  readonly #reader: StoredReader;
  readonly #seeking = new Map<string, Promise<Found>>();
  #closed = false;

  constructor(options: RocketmqStoreOptions, reader: StoredReader) {
    this.#options = options;
    this.#reader = reader;
  }

  get seeking(): number {
    return this.#seeking.size;
  }

  /** Resolves when it is known; there is one search for each key. */
  seek(sought: Sought): Promise<Found> {
    const known = this.#seeking.get(sought.key);
    if (known !== undefined) return known;
    const seeking = this.#seek(sought).finally(() => this.#seeking.delete(sought.key));
    this.#seeking.set(sought.key, seeking);
    return seeking;
  }

  /** Whether it can be read now; −1: not yet, or never. Rejects where the broker does not answer. */
  async look(sought: Sought): Promise<number> {
    return this.#lookUpTo(sought, await this.#endOf(sought.queue));
  }

  async #lookUpTo({ key, queue, from }: Sought, end: number): Promise<number> {
    let next = from;
    while (next < end && !this.#closed) {
      const answer = await pull(queue, next);
      if (answer.kind === 'failed') throw new Error(answer.reason);
      if (answer.kind === 'found') {
        for (const stored of this.#reader.read(answer.body, noSource)) {
          if (stored.key === key) return stored.queueOffset;
        }
      }
      if (answer.next <= next && answer.kind === 'nothing') break;
      next = answer.next;
    }
    return -1;
  }

  close(): void {
    this.#closed = true;
  }

  async #seek(sought: Sought): Promise<Found> {
    const { clock, events } = this.#options;
    const { broker } = sought.queue;
    let believableAtMs: number | undefined;
    while (!this.#closed) {
      try {
        // The broker answers what was asked after the send.
        await this.#endOf(sought.queue);
        believableAtMs ??= clock.monotonicMs() + broker.sendQueueWaitMs + marginMs;
        const isBelieved = clock.monotonicMs() >= believableAtMs;
        const end = isBelieved ? await this.#mark(sought.queue) : await this.#endOf(sought.queue);
        const offset = await this.#lookUpTo(sought, end);
        if (offset >= 0 || isBelieved) return offset;
        await pause(Math.min(againMs, Math.max(0, believableAtMs - clock.monotonicMs())));
      } catch (error) {
        events.outcomeSought(broker.name, messageOfError(error));
        // It may have been away for longer than what it was asked before could wait.
        believableAtMs = undefined;
        await pause(againMs);
      }
    }
    return undefined;
  }

  /** Stores something behind all that is stored; the offset up to which everything can be read. */
  async #mark(queue: QueueAt): Promise<number> {
    const { connection } = queue.broker;
    if (connection === undefined) throw new Error(`${queue.broker.name} is not there`);
    const { clock } = this.#options;
    const bornMs = clock.nowMs();
    const { topic, queueId } = queue;
    const answer = await new Promise<SendAnswer>((resolve) => {
      connection.send(
        { topic, queueId, properties: markProperties, body: markBody, bornMs },
        resolve,
      );
    });
    if (answer.kind !== 'stored') throw new Error(`a mark is ${answer.kind}`);
    const untilMs = clock.monotonicMs() + indexedWithinMs;
    while ((await this.#endOf(queue)) <= answer.queueOffset) {
      if (clock.monotonicMs() > untilMs) throw new Error('a mark is not indexed');
      await pause(againMs / 10);
    }
    return answer.queueOffset;
  }

  async #endOf(queue: QueueAt): Promise<number> {
    const { connection } = queue.broker;
    if (connection === undefined) throw new Error(`${queue.broker.name} is not there`);
    return connection.maxOffset(queue);
  }
}

/** For a reader of which only keys and places are wanted. */
const noSource = { partition: 0, queuesOf: () => [], placementOf: () => 0 };

function pull(queue: QueueAt, offset: number): Promise<PullAnswer> {
  return new Promise((resolve) => {
    const { connection } = queue.broker;
    if (connection === undefined) {
      resolve({ kind: 'failed', code: undefined, reason: 'not there' });
      return;
    }
    const { topic, queueId } = queue;
    connection.pull(
      {
        ...{ group: readGroup, topic, queueId, offset, messagesMax: pullMessages },
        ...{ suspendMs: 0, subscription: '*' },
      },
      resolve,
    );
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
