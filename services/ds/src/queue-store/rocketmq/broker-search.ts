// Search for the outcome of sends to one broker of which nothing certain came back: their ordinary
// queues are read for their keys. A key is not there only if it is not there after all that the
// broker may still have had in its hands is stored or thrown away: after an answer that the broker
// gave to something asked later, and then the time for which it lets sends wait; or at once where
// the broker runs anew, since what the former run had in its hands died with it. All keys share the
// waiting, the mark and the reading.
import { nextTurn, pause } from '@lmqtt/common/pause';
import type { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { Broker } from './broker.ts';
import { BrokerMark } from './broker-mark.ts';
import { messageOfError } from './error-text.ts';
import { type KeyAt, passOver } from './key-pass.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { QueueAt } from './ordinary-queue.ts';

const marginMs = 1000;
const againMs = 250;

export interface Sought {
  readonly key: string;
  readonly queue: QueueAt;
  /** Lowest offset that the message can have, if it is stored. */
  readonly from: number;
  /** The run of the broker's program that the send went to; unset: not known. */
  readonly run?: string | undefined;
}

/** −1: it is not stored and will not be; undefined: the store was closed before that was known. */
export type Found = number | undefined;

export interface Search {
  /** After the first reading, or when there can be none now; −1: not found yet. */
  readonly first: Promise<number>;
  readonly found: Promise<Found>;
}

class OpenSearch implements Search, KeyAt {
  readonly key: string;
  readonly sought: Sought;
  next: number;
  /** Monotonic: that it is not there is believed then; undefined: the broker has not answered. */
  believableAtMs: number | undefined;
  readonly first: Promise<number>;
  readonly found: Promise<Found>;
  looked: (offset: number) => void = () => undefined;
  over: (offset: Found) => void = () => undefined;

  constructor(sought: Sought) {
    this.sought = sought;
    this.key = sought.key;
    this.next = sought.from;
    this.first = new Promise((resolve) => {
      this.looked = resolve;
    });
    this.found = new Promise((resolve) => {
      this.over = resolve;
    });
  }
}

export class BrokerSearch {
  readonly #options: RocketmqStoreOptions;
  readonly #broker: Broker;
  readonly #reader: StoredReader;
  readonly #mark: BrokerMark;
  readonly #open = new Map<string, OpenSearch>();
  #isRunning = false;
  #isClosed = false;

  constructor(options: RocketmqStoreOptions, broker: Broker, reader: StoredReader) {
    this.#options = options;
    this.#broker = broker;
    this.#reader = reader;
    this.#mark = new BrokerMark(broker, options.clock, options.events);
  }

  /** Keys that are sought. */
  get size(): number {
    return this.#open.size;
  }

  /** There is one search for each key. */
  seek(sought: Sought): Search {
    const known = this.#open.get(sought.key);
    if (known !== undefined) return known;
    const search = new OpenSearch(sought);
    this.#open.set(sought.key, search);
    if (!this.#isRunning) void this.#run();
    return search;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Searches of one turn go together.
    await nextTurn();
    while (this.#open.size > 0 && !this.#isClosed) {
      const asked = [...this.#open.values()];
      try {
        await this.#round(asked);
      } catch (error) {
        this.#options.events.outcomeSought(this.#broker.name, messageOfError(error));
        // The broker may have been away for longer than earlier requests could wait.
        for (const search of asked) search.believableAtMs = undefined;
      }
      for (const search of asked) search.looked(-1);
      if (this.#open.size > 0) await pause(this.#pauseMs());
    }
    this.#isRunning = false;
    for (const search of this.#open.values()) {
      search.looked(-1);
      search.over(undefined);
    }
    this.#open.clear();
  }

  async #round(asked: readonly OpenSearch[]): Promise<void> {
    const { clock, events } = this.#options;
    const queues = byQueue(asked);
    // The broker answers what was asked after the sends.
    let ends = await this.#endsOf(queues);
    const nowMs = clock.monotonicMs();
    const believed = asked.filter((search) => this.#isBelieved(search, nowMs));
    if (believed.length > 0) {
      await this.#mark.make(believed[0]!.sought.queue);
      ends = await this.#endsOf(queues);
    }
    let stored = 0;
    const failed = new Set<OpenSearch>();
    for (const [index, searches] of queues.entries()) {
      try {
        await this.#read(searches, ends[index]!, () => (stored += 1));
      } catch (error) {
        // One queue that cannot be read holds up its own.
        for (const search of searches) failed.add(search);
        events.outcomeSought(this.#broker.name, messageOfError(error));
      }
    }
    const missing = believed.filter((each) => !failed.has(each) && this.#open.has(each.key));
    for (const search of missing) this.#tell(search, -1);
    if (stored + missing.length > 0)
      events.outcomesFound(this.#broker.name, stored, missing.length);
  }

  #read(searches: readonly OpenSearch[], end: number, found: () => void): Promise<void> {
    const open = new Map(searches.map((search) => [search.key, search]));
    return passOver(searches[0]!.sought.queue, searches, end, this.#reader, ({ key }, offset) => {
      const search = open.get(key);
      if (search !== undefined) this.#tell(search, offset);
      found();
    });
  }

  #isBelieved(search: OpenSearch, nowMs: number): boolean {
    const { run } = this.#broker;
    search.believableAtMs ??= nowMs + this.#broker.sendQueueWaitMs + marginMs;
    const { run: sentTo } = search.sought;
    if (sentTo !== undefined && run !== undefined && run !== sentTo) return true;
    return nowMs >= search.believableAtMs;
  }

  #tell(search: OpenSearch, offset: number): void {
    this.#open.delete(search.key);
    search.looked(offset);
    search.over(offset);
  }

  #pauseMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    let pauseMs = againMs;
    for (const { believableAtMs } of this.#open.values())
      if (believableAtMs !== undefined) pauseMs = Math.min(pauseMs, believableAtMs - nowMs);
    return Math.max(1, pauseMs);
  }

  #endsOf(queues: readonly (readonly OpenSearch[])[]): Promise<number[]> {
    const { connection } = this.#broker;
    if (connection === undefined) throw new Error(`${this.#broker.name} is not there`);
    return Promise.all(queues.map(([first]) => connection.maxOffset(first!.sought.queue)));
  }
}

function byQueue(searches: readonly OpenSearch[]): OpenSearch[][] {
  const queues = new Map<string, OpenSearch[]>();
  for (const search of searches) {
    const { topic, queueId } = search.sought.queue;
    const name = `${topic}/${queueId}`;
    const known = queues.get(name);
    if (known === undefined) queues.set(name, [search]);
    else known.push(search);
  }
  return [...queues.values()];
}
