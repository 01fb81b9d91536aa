import { type StoredCounts, StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { Broker } from './broker.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Targets } from './targets.ts';

/** Kinds of messages that devices do not get at all. */
const unreadable = ['malformed', 'compression', 'batch', 'topic', 'template'] as const;

interface KnownReader {
  readonly reader: StoredReader;
  /** As they were told last. */
  told: StoredCounts;
}

/** Pulled bytes to messages, with what is told about those that are not as they should be. */
export class BrokerReader {
  readonly #options: RocketmqStoreOptions;
  readonly #targets: Targets;
  readonly #readers = new Map<string, KnownReader>();

  constructor(options: RocketmqStoreOptions, targets: Targets) {
    this.#options = options;
    this.#targets = targets;
  }

  /** `isTail`: each message is read once, so that those which devices do not get are counted. */
  read(body: Buffer, broker: Broker, isTail = false): StoredMessage[] {
    const { queues, templates } = this.#options;
    let known = this.#readers.get(broker.name);
    if (known === undefined) {
      const reader = new StoredReader();
      known = { reader, told: { ...reader.counts } };
      this.#readers.set(broker.name, known);
    }
    const { counts } = known.reader;
    const messages = known.reader.read(body, {
      partition: broker.partition,
      templates,
      queuesOf: (lmqName, topic) => queues.atPlace(lmqName, topic),
      placementOf: (mqttTopic, queueId, rocketTopic, storedMs) =>
        this.#targets.placementAt(mqttTopic, rocketTopic, broker.name, queueId, storedMs),
    });
    const { told } = known;
    const isNew =
      counts.unindexed > told.unindexed || unreadable.some((why) => counts[why] > told[why]);
    if (isNew) this.#tell(known, broker, isTail);
    return messages;
  }

  #tell(known: KnownReader, broker: Broker, isTail: boolean): void {
    const { events } = this.#options;
    const { counts } = known.reader;
    const { told } = known;
    known.told = { ...counts };
    if (counts.unindexed > told.unindexed)
      events.unindexed(broker.name, counts.unindexed - told.unindexed);
    let count = 0;
    for (const why of unreadable) {
      const more = counts[why] - told[why];
      count += more;
      if (more === 0 || !isTail) continue;
      const { refused } = known.reader;
      const last = refused?.why === why ? refused : undefined;
      events.unreadableMessages(why, more, broker.name, last);
    }
    if (count > 0) events.unreadable(broker.name, { ...counts });
  }
}
