import type { Clock } from '@lmqtt/common/clock';
import { messageOf } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { bodyOf, propertiesOf } from '../../rocketmq/message/stored-properties.ts';
import { UniqueKeys } from '../../rocketmq/names/unique-key.ts';
import type { RocketmqClient } from '../../rocketmq/remoting/client.ts';
import { propertyText } from '../../rocketmq/remoting/requests/send-message.ts';
import type { DeadLetter, RetryEntry, RetryQueue, TakenEntry } from '../retry-queue.ts';
import { delayLevelOf } from './delay-levels.ts';
import { entryProperties, entryProperty, type More } from './entry-message.ts';
import { inOrder, LetterIndex, type LetterPlace, placeOf, type Removal } from './letter-index.ts';
import { OrdinaryTopic, type StoredAt } from './ordinary-topic.ts';
import { WaitingEntries } from './waiting-entries.ts';

interface RocketmqRetryOptions {
  readonly client: RocketmqClient;
  readonly clock: Clock;
  readonly retryTopic: string;
  readonly deadLetterTopic: string;
  readonly lettersMax: number;
}

const group = '%LMQ%lmqtt-retry';
const removalTopic = 'lmqtt/dead-letters/removed';
/** An entry that is due within so long is not put again. */
const dueSlackMs = 1000;

/**
 * The retry queue in RocketMQ, by remoting, which every release has. Entries that wait are messages with
 * a delay level in the retry topic: their delay is rounded up to 1, 5, 10, 30 s, 1 to 10, 20, 30 min,
 * 1 or 2 h, and they are due when the broker shows them. Dead letters are messages in a topic that back
 * ends can read, too; they go when RocketMQ's retention takes them, and the newest `lettersMax` are
 * listed. After the crash of a broker acknowledged entries of the last seconds may be taken again.
 */
export class RocketmqRetryQueue implements RetryQueue {
  readonly #clock: Clock;
  readonly #retry: OrdinaryTopic;
  readonly #dead: OrdinaryTopic;
  readonly #waiting: WaitingEntries;
  readonly #index: LetterIndex;
  readonly #keys = new UniqueKeys();

  constructor({ client, clock, retryTopic, deadLetterTopic, lettersMax }: RocketmqRetryOptions) {
    this.#clock = clock;
    this.#retry = new OrdinaryTopic(retryTopic, group, client, clock);
    this.#dead = new OrdinaryTopic(deadLetterTopic, group, client, clock);
    this.#waiting = new WaitingEntries(this.#retry, clock);
    this.#index = new LetterIndex(this.#dead, lettersMax, clock);
  }

  async put(entries: readonly RetryEntry[], delayMs: number): Promise<void> {
    const level = delayLevelOf(delayMs);
    const dueMs = this.#clock.nowMs() + delayMs;
    const more: More = [[entryProperty.dueMs, `${Math.round(dueMs)}`]];
    const delay = level === undefined ? '' : propertyText([['DELAY', `${level}`]]);
    for (const entry of entries) await this.#send(this.#retry, entry, more, delay);
  }

  async take(entriesMax: number): Promise<TakenEntry[]> {
    const taken: TakenEntry[] = [];
    for (const { id, entry, dueMs } of await this.#waiting.take(entriesMax)) {
      const leftMs = dueMs - this.#clock.nowMs();
      if (leftMs <= dueSlackMs) {
        taken.push({ id, entry });
        continue;
      }
      // Longer than the longest level.
      await this.put([entry], leftMs);
      await this.acknowledge([id]);
    }
    return taken;
  }

  acknowledge(ids: readonly string[]): Promise<void> {
    return this.#waiting.acknowledge(ids);
  }

  async deadLetter(entries: readonly RetryEntry[]): Promise<void> {
    for (const entry of entries) this.#index.expect(await this.#send(this.#dead, entry, [], ''));
  }

  async list(after: string | undefined, lettersMax: number): Promise<DeadLetter[]> {
    const all = await this.#index.letters();
    const from = after === undefined ? 0 : firstBehind(all, after);
    if (from === -1) return [];
    const page: DeadLetter[] = [];
    for (const letter of all.slice(from)) {
      if (page.length >= lettersMax) break;
      const found = await this.#index.letter(letter);
      if (found !== undefined) page.push(found);
    }
    return page;
  }

  async find(id: string): Promise<DeadLetter | undefined> {
    const letter = (await this.#index.letters()).find((one) => one.id === id);
    return letter && this.#index.letter(letter);
  }

  async replay(ids: readonly string[], delayMs: number): Promise<number> {
    let count = 0;
    for (const id of new Set(ids)) {
      const letter = await this.find(id);
      if (letter === undefined) continue;
      await this.put([{ ...letter.entry, attempts: 0 }], delayMs);
      count += await this.purge([id]);
    }
    return count;
  }

  async purge(ids: readonly string[] | 'all'): Promise<number> {
    const wanted = ids === 'all' ? undefined : new Set(ids);
    const letters = (await this.#index.letters()).filter(({ id }) => wanted?.has(id) !== false);
    for (const queue of await this.#dead.queues()) {
      const offsets = letters.filter((one) => one.queue === queue.name).map((one) => one.offset);
      if (offsets.length === 0) continue;
      const removal: Removal = ids === 'all' ? { below: Math.max(...offsets) + 1 } : { offsets };
      const message = messageOf({
        ...{ topic: removalTopic, qos: 1, retain: false },
        payload: Buffer.from(JSON.stringify(removal)),
      });
      const nowMs = this.#clock.nowMs();
      const key = this.#keys.next(nowMs);
      const text = propertiesOf(message, [], { key, nowMs, more: [[entryProperty.removed, '1']] });
      this.#index.expect(await this.#dead.send(text ?? '', bodyOf(message), queue));
    }
    // Brokers show a message a little after they have stored it: every ds sees it gone from here on.
    if (letters.length > 0) await this.#index.letters();
    return letters.length;
  }

  async #send(
    topic: OrdinaryTopic,
    entry: RetryEntry,
    more: More,
    delay: string,
  ): Promise<StoredAt> {
    const nowMs = this.#clock.nowMs();
    const text = entryProperties(entry, this.#keys.next(nowMs), nowMs, more);
    if (text === undefined)
      throw new StoreFailure('RocketMQ takes no message with so long properties', tooLong);
    return topic.send(text + delay, bodyOf(entry.message));
  }
}

const tooLong = ReasonCode.quotaExceeded;

/** −1: there is none. The one named may be there no more. */
function firstBehind(all: readonly LetterPlace[], after: string): number {
  const place = placeOf(after);
  return all.findIndex((letter) => inOrder(place, letter) < 0);
}
