import { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { Broker } from './broker.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Targets } from './targets.ts';

/** Pulled bytes to messages, with what is told about those that are not as they should be. */
export class BrokerReader {
  readonly #options: RocketmqStoreOptions;
  readonly #targets: Targets;
  readonly #readers = new Map<string, StoredReader>();
  #told = 0;

  constructor(options: RocketmqStoreOptions, targets: Targets) {
    this.#options = options;
    this.#targets = targets;
  }

  read(body: Buffer, broker: Broker): StoredMessage[] {
    const { queues } = this.#options;
    let reader = this.#readers.get(broker.name);
    if (reader === undefined) {
      reader = new StoredReader();
      this.#readers.set(broker.name, reader);
    }
    const { counts } = reader;
    const unindexed = counts.unindexed;
    const messages = reader.read(body, {
      partition: broker.partition,
      queuesOf: (lmqName, topic) => queues.atPlace(lmqName, topic),
      placementOf: (mqttTopic, queueId, rocketTopic) =>
        this.#targets.placementAt(mqttTopic, rocketTopic, broker.name, queueId),
    });
    if (counts.unindexed > unindexed)
      this.#options.events.unindexed(broker.name, counts.unindexed - unindexed);
    const bad = counts.malformed + counts.compression + counts.batch + counts.topic;
    if (bad > this.#told) {
      this.#told = bad;
      this.#options.events.unreadable(broker.name, { ...counts });
    }
    return messages;
  }
}
