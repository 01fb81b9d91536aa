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
    await this.#findFirsts(messages, broker);
    const kept: StoredMessage[] = [];
    for (const stored of messages) {
      const { key, queueOffset } = stored;
      const first = key === undefined ? undefined : this.#counted.get(key);
      if (first === undefined || first === queueOffset) kept.push(stored);
      else this.#options.events.secondCopy(stored.message.topic);
    }
    return kept;
  }

  /** One reading for all that were sent again to one queue. */
  async #findFirsts(messages: readonly StoredMessage[], broker: Broker): Promise<void> {
    const queues = new Map<string, { readonly all: StoredMessage[]; readonly end: number }>();
    for (const stored of messages) {
      const { key, againFrom, topic, queueId, queueOffset } = stored;
      if (key === undefined || againFrom < 0 || this.#counted.has(key)) continue;
      const name = `${topic}/${queueId}`;
      const { all = [], end = 0 } = queues.get(name) ?? {};
      all.push(stored);
      // Each finds itself where there is none before it.
      queues.set(name, { all, end: Math.max(end, queueOffset + 1) });
    }
    if (this.#counted.size + messages.length > keysMax) this.#counted.clear();
    for (const { all, end } of queues.values()) await this.#findFirst(all, end, broker);
  }

  async #findFirst(all: readonly StoredMessage[], end: number, broker: Broker): Promise<void> {
    const { topic, queueId } = all[0]!;
    const keys = new Map(all.map(({ key, againFrom }) => [key!, againFrom]));
    let firsts: Map<string, number>;
    try {
      firsts = await this.#outcomes.look({ topic, broker, queueId }, keys, end);
    } catch (error) {
      throw new Error(`a message sent again: ${messageOfError(error)}`, { cause: error });
    }
    for (const { key, queueOffset } of all)
      this.#counted.set(key!, firsts.get(key!) ?? queueOffset);
  }
}
