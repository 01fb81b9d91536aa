// A message of no meaning behind all that a broker has stored. A broker indexes what it has stored
// in one order over all topics: when the mark can be read, everything before it can.
//
// The topic of the mark is the one that each broker has by its own name, so that it is not among
// what users read. Where the broker does not let this node use that topic, the mark goes to the
// ordinary queue itself, with a tag that neither devices nor those who read what devices publish
// ask for.
import type { Clock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import { rocket } from '../../rocketmq/message/property-names.ts';
import { answerCodes } from '../../rocketmq/remoting/codes.ts';
import { RemotingError } from '../../rocketmq/remoting/errors.ts';
import { propertyText, type SendAnswer } from '../../rocketmq/remoting/requests/send-message.ts';
import type { Broker } from './broker.ts';
import type { RocketmqStoreEvents } from './events.ts';
import type { QueueAt } from './ordinary-queue.ts';

const lookAgainMs = 25;
/** New light queues hold up everybody's index. */
const indexedWithinMs = 60_000;
const markProperties = propertyText([[rocket.tags, 'LMQTT_MARK']]);
const markBody = Buffer.from('mark');

/** Answers that another moment may change. */
const passing: ReadonlySet<number> = new Set([
  answerCodes.systemBusy,
  answerCodes.serviceNotAvailable,
]);

export class BrokerMark {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #events: RocketmqStoreEvents;
  /** The broker has refused its own topic. */
  #isRefused = false;

  constructor(broker: Broker, clock: Clock, events: RocketmqStoreEvents) {
    this.#broker = broker;
    this.#clock = clock;
    this.#events = events;
  }

  /**
   * Resolves when everything that the broker had stored before the call can be read. `instead`:
   * where the mark goes if not to the broker's own topic.
   */
  async make(instead: QueueAt): Promise<void> {
    if (!this.#isRefused) {
      const own = { topic: this.#broker.name, broker: this.#broker, queueId: 0 };
      const refusal = await this.#store(own);
      if (refusal === undefined) return;
      this.#isRefused = true;
      this.#events.markRefused(this.#broker.name, refusal);
    }
    const refusal = await this.#store(instead);
    if (refusal !== undefined) throw new Error(`a mark is refused: ${refusal}`);
  }

  /** Why the broker refuses the topic; undefined: the mark can be read. */
  async #store(queue: QueueAt): Promise<string | undefined> {
    const answer = await this.#send(queue);
    if (answer.kind === 'refused' && !passing.has(answer.code))
      return `code ${answer.code}: ${answer.remark}`;
    if (answer.kind === 'refused') throw new Error(`a mark is refused: code ${answer.code}`);
    if (answer.kind !== 'stored') throw new Error(`a mark is ${answer.kind}: ${answer.reason}`);
    const untilMs = this.#clock.monotonicMs() + indexedWithinMs;
    try {
      while ((await this.#endOf(queue)) <= answer.queueOffset) {
        if (this.#clock.monotonicMs() > untilMs) throw new Error('a mark is not indexed');
        await pause(lookAgainMs);
      }
    } catch (error) {
      if (error instanceof RemotingError && !passing.has(error.code)) return error.message;
      throw error;
    }
    return undefined;
  }

  #send({ topic, queueId }: QueueAt): Promise<SendAnswer> {
    const { connection } = this.#broker;
    if (connection === undefined) throw new Error(`${this.#broker.name} is not there`);
    const bornMs = this.#clock.nowMs();
    return new Promise((resolve) => {
      connection.send(
        { topic, queueId, properties: markProperties, body: markBody, bornMs },
        resolve,
      );
    });
  }

  #endOf(queue: QueueAt): Promise<number> {
    const { connection } = this.#broker;
    if (connection === undefined) throw new Error(`${this.#broker.name} is not there`);
    return connection.maxOffset(queue);
  }
}
