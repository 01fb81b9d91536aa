import type { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { Broker } from './broker.ts';
import { BrokerSearch, type Found, type Search, type Sought } from './broker-search.ts';
import { keysBetween } from './key-pass.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { QueueAt } from './ordinary-queue.ts';

/** Outcomes of sends of which nothing certain came back, by the keys of their messages. */
export class Outcomes {
  readonly #options: RocketmqStoreOptions;
  readonly #reader: StoredReader;
  readonly #searches = new Map<Broker, BrokerSearch>();

  constructor(options: RocketmqStoreOptions, reader: StoredReader) {
    this.#options = options;
    this.#reader = reader;
  }

  get seeking(): number {
    let keys = 0;
    for (const { size } of this.#searches.values()) keys += size;
    return keys;
  }

  /** Resolves when it is known. */
  seek(sought: Sought): Promise<Found> {
    return this.search(sought).found;
  }

  search(sought: Sought): Search {
    const { broker } = sought.queue;
    let search = this.#searches.get(broker);
    if (search === undefined) {
      search = new BrokerSearch(this.#options, broker, this.#reader);
      this.#searches.set(broker, search);
    }
    return search.seek(sought);
  }

  /** All keys of a part of an ordinary queue, each with its first offset there. Rejects where the broker does not answer. */
  keysBetween(queue: QueueAt, from: number, end: number): Promise<Map<string, number>> {
    return keysBetween(queue, from, end, this.#reader);
  }

  close(): void {
    for (const search of this.#searches.values()) search.close();
  }
}
