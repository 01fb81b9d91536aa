// Messages that are stored twice: a send whose outcome was believed to be "not stored" was sent
// again, and the first came in after all. The second one says where the first may be; whichever is
// read later in the ordinary queue is passed over. Rare: what this costs is paid only then.
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { Broker } from './broker.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Outcomes } from './outcomes.ts';

const keysMax = 10_000;

export class Copies {
  readonly #options: RocketmqStoreOptions;
  readonly #outcomes: Outcomes;
  /** The offset of the copy that counts, by its key. */
  readonly #counted = new Map<string, number>();

  constructor(options: RocketmqStoreOptions, outcomes: Outcomes) {
    this.#options = options;
    this.#outcomes = outcomes;
  }

  /** There may be second copies among these. */
  isSuspect(messages: readonly StoredMessage[]): boolean {
    for (const { againFrom } of messages) if (againFrom >= 0) return true;
    if (this.#counted.size === 0) return false;
    return messages.some(({ key }) => key !== undefined && this.#counted.has(key));
  }

  /** Without second copies. Rejects where it cannot be known now. */
  async without(messages: readonly StoredMessage[], broker: Broker): Promise<StoredMessage[]> {
    const kept: StoredMessage[] = [];
    for (const stored of messages) {
      if (await this.#counts(stored, broker)) kept.push(stored);
      else this.#options.events.secondCopy(stored.message.topic);
    }
    return kept;
  }

  async #counts(stored: StoredMessage, broker: Broker): Promise<boolean> {
    const { key, againFrom, queueOffset, topic, queueId } = stored;
    if (key === undefined) return true;
    const known = this.#counted.get(key);
    if (known !== undefined) return known === queueOffset;
    if (againFrom < 0) return true;
    const queue = { topic, broker, queueId };
    let first: number;
    try {
      // Finds itself where there is none before it.
      first = await this.#outcomes.look({ key, queue, from: againFrom });
    } catch (error) {
      throw new Error(`a message sent again: ${messageOfError(error)}`, { cause: error });
    }
    if (first < 0) first = queueOffset;
    if (this.#counted.size >= keysMax) this.#counted.clear();
    this.#counted.set(key, first);
    return first === queueOffset;
  }
}
