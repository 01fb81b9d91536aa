import type { InboundId, Outcome } from '../queue-store.ts';
import type { Intent } from '../intents.ts';
import type { Brokers } from './brokers.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Outcomes } from './outcomes.ts';

/** Nobody waits for them for long. */
const knownMax = 10_000;

/** Outcomes of intents that were found open. */
export class OpenIntents {
  readonly #options: RocketmqStoreOptions;
  readonly #brokers: Brokers;
  readonly #outcomes: Outcomes;
  /** By the key of the message. */
  readonly #known = new Map<string, boolean>();
  readonly #seeking = new Set<string>();

  constructor(options: RocketmqStoreOptions, brokers: Brokers, outcomes: Outcomes) {
    this.#options = options;
    this.#brokers = brokers;
    this.#outcomes = outcomes;
  }

  async outcome(id: InboundId): Promise<Outcome> {
    const { intents } = this.#options;
    const open = await intents.open(id.clientId);
    const intent = open.find(({ packetId }) => packetId === id.packetId);
    // No intent: the identifier was made durable, or nothing was sent.
    if (intent === undefined)
      return this.#options.isStored?.(id) === true ? 'stored' : 'not stored';
    const stored = this.#known.get(intent.key) ?? (await this.#look(intent));
    if (stored === undefined) return 'unknown';
    if (!stored) intents.dropped([id]);
    else await new Promise<void>((resolve) => intents.stored([id], resolve));
    return stored ? 'stored' : 'not stored';
  }

  /** The answer that can be given at once; the search goes on. */
  async #look({ key, place, from }: Intent): Promise<boolean | undefined> {
    const broker = this.#brokers.named(place.broker);
    // Messages of a forgotten broker go to no device any more.
    if (this.#brokers.isForgottenName(place.broker)) return false;
    if (broker === undefined) return undefined;
    const queue = { topic: place.topic, broker, queueId: place.queueId };
    const { first, found } = this.#outcomes.search({ key, queue, from });
    if (!this.#seeking.has(key)) {
      this.#seeking.add(key);
      void found.then((offset) => {
        this.#seeking.delete(key);
        if (offset === undefined) return;
        if (this.#known.size >= knownMax) this.#known.clear();
        this.#known.set(key, offset >= 0);
      });
    }
    return (await first) >= 0 ? true : undefined;
  }
}
