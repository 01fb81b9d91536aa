// Messages that are stored twice: a send whose outcome was believed to be "not stored" was sent
// again, and the first came in after all. The second one says where the first may be; whichever is
// read later in the ordinary queue is passed over. Rare: what this costs is paid only then.
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { Broker } from './broker.ts';
import { messageOfError } from './error-text.ts';
import type { QueueAt } from './ordinary-queue.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Outcomes } from './outcomes.ts';

const keysMax = 10_000;
const passesMax = 64;

/** Keys of a part of an ordinary queue. */
interface Pass {
  readonly from: number;
  until: number;
  readonly keys: Map<string, number>;
  /** Since then the broker has answered: one that was away may have lost some of them. */
  readonly answersSinceMs: number | undefined;
}

export class Copies {
  readonly #options: Pick<RocketmqStoreOptions, 'events'>;
  readonly #outcomes: Pick<Outcomes, 'keysBetween'>;
  /** The offset of the copy that counts, by its key. */
  readonly #counted = new Map<string, number>();
  /** By ordinary queue, each behind the one before it. */
  readonly #passes = new Map<string, Promise<Pass>>();

  constructor(
    options: Pick<RocketmqStoreOptions, 'events'>,
    outcomes: Pick<Outcomes, 'keysBetween'>,
  ) {
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
    const from = Math.min(...all.map(({ againFrom }) => againFrom));
    let offsets: ReadonlyMap<string, number>;
    try {
      offsets = await this.#keysOf({ topic, broker, queueId }, from, end);
    } catch (error) {
      throw new Error(`a message sent again: ${messageOfError(error)}`, { cause: error });
    }
    for (const { key, queueOffset, againFrom } of all) {
      const first = offsets.get(key!);
      const isFirst = first !== undefined && first >= againFrom;
      this.#counted.set(key!, isFirst ? first : queueOffset);
    }
  }

  /** Keys read for earlier copies are not read again: as a rule copies come one after the other. */
  #keysOf(queue: QueueAt, from: number, end: number): Promise<ReadonlyMap<string, number>> {
    const { topic, broker, queueId } = queue;
    const name = `${topic}/${broker.name}/${queueId}`;
    const before = this.#passes.get(name);
    const pass = this.#pass(before, queue, from, end);
    this.#passes.delete(name);
    this.#passes.set(name, pass);
    if (this.#passes.size > passesMax) this.#passes.delete(this.#passes.keys().next().value!);
    return pass.then(({ keys }) => {
      if (keys.size > keysMax && this.#passes.get(name) === pass) this.#passes.delete(name);
      return keys;
    });
  }

  async #pass(
    before: Promise<Pass> | undefined,
    queue: QueueAt,
    from: number,
    end: number,
  ): Promise<Pass> {
    const known = await before?.catch(() => undefined);
    const { answersSinceMs } = queue.broker;
    const goesOn =
      known !== undefined &&
      known.answersSinceMs === answersSinceMs &&
      known.from <= from &&
      known.until >= from &&
      known.keys.size + end - known.until <= keysMax;
    if (goesOn && end <= known.until) return known;
    const at = goesOn ? known.until : from;
    const found = await this.#outcomes.keysBetween(queue, at, end);
    if (!goesOn) return { from, until: end, keys: found, answersSinceMs };
    for (const [key, offset] of found) if (!known.keys.has(key)) known.keys.set(key, offset);
    known.until = end;
    return known;
  }
}
