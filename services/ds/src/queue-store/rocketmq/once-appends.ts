// Messages of the broker's own (wills) that several ds may try to send, one after another: each has
// a key for all who try, which is looked for where it would be before it is sent again.
//
// A stored message is read back and told before its append is answered: the tail would tell it
// later, while later QoS 0 messages of the same client are told at once.
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Append, Once } from '../queue-store.ts';
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { BrokerReader } from './broker-reader.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue, Target } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import { readGroup } from './read-group.ts';
import type { Targets } from './targets.ts';

/** How far clocks of brokers and of the session store may be apart. */
const clocksApartMs = 60_000;
/**
 * Time for the broker to index a stored message, so that it can be read back; after that the tail
 * tells it.
 */
const readBackMs = 1000;
const readAgainMs = 3;

type Done = (answered: Append[]) => void;

interface OnceAppendsPorts {
  readonly targets: Targets;
  readonly outcomes: Outcomes;
  readonly reader: BrokerReader;
  append(append: Append, done: Done): void;
  arrived(message: StoredMessage): void;
}

export class OnceAppends {
  readonly #options: RocketmqStoreOptions;
  readonly #ports: OnceAppendsPorts;
  /** By lane: the last append that is not passed on yet. */
  readonly #passing = new Map<string, Promise<void>>();

  constructor(options: RocketmqStoreOptions, ports: OnceAppendsPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /**
   * Those of a lane are passed on in the order of the calls, though what is asked of brokers before
   * that is answered in any order.
   */
  append(append: Append, once: Once, done: Done): void {
    const { lane } = append;
    const passed = this.#pass(append, this.#prepare(append, once), this.#passing.get(lane), done);
    this.#passing.set(lane, passed);
    void passed.finally(() => {
      if (this.#passing.get(lane) === passed) this.#passing.delete(lane);
    });
  }

  async #pass(
    append: Append,
    preparing: Promise<boolean>,
    before: Promise<void> | undefined,
    done: Done,
  ): Promise<void> {
    const [prepared] = await Promise.allSettled([preparing, before]);
    if (prepared.status === 'fulfilled' && !prepared.value) {
      this.#ports.append(append, (answered) => {
        void this.#answer(append, () => done(answered));
      });
      return;
    }
    if (prepared.status === 'rejected') {
      append.reasonCode = ReasonCode.serverUnavailable;
      const { topic } = append.message;
      this.#options.events.appendFailed('broker away', topic, messageOfError(prepared.reason));
    }
    done([append]);
  }

  /** True: it is stored already, and the append is answered. */
  async #prepare(append: Append, { key, sinceMs, again }: Once): Promise<boolean> {
    const { topic } = append.message;
    const target = await this.#targetOf(topic);
    const { queue } = target;
    const { connection } = queue.broker;
    if (connection === undefined) throw new Error(`${queue.broker.name} is not there`);
    // The search for the outcome of the send may begin here.
    if (queue.end < 0) queue.end = Math.max(queue.end, await connection.maxOffset(queue));
    if (!again) return false;
    const fromMs = sinceMs - clocksApartMs;
    // Others may have sent it before its first level moved.
    for (const tried of [target, ...this.#ports.targets.former(topic, fromMs)]) {
      const from = await connection.searchOffset(tried.queue, fromMs);
      const offset = await this.#ports.outcomes.seek({ key, queue: tried.queue, from });
      if (offset === undefined) throw new Error('stopping');
      if (offset < 0) continue;
      append.reasonCode = 0;
      append.orderKey = { placement: tried.placement, offset };
      return true;
    }
    return false;
  }

  async #answer(append: Append, done: () => void): Promise<void> {
    try {
      await this.#tell(append);
    } catch (error) {
      // The tail of the queue tells the message.
      this.#options.events.tailFailed(append.message.topic, messageOfError(error));
    }
    done();
  }

  async #tell({ message, queues, reasonCode, orderKey }: Append): Promise<void> {
    if (reasonCode !== 0 || orderKey === undefined || queues.length === 0) return;
    const target = this.#ports.targets.of(message.topic);
    if (target === undefined || target.placement !== orderKey.placement) return;
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + readBackMs;
    while (clock.monotonicMs() < untilMs) {
      const answer = await pull(target.queue, orderKey.offset);
      if (answer.kind === 'failed') return;
      if (answer.kind === 'found') {
        for (const stored of this.#ports.reader.read(answer.body, target.queue.broker))
          if (stored.queueOffset === orderKey.offset) this.#ports.arrived(stored);
        return;
      }
      await pause(readAgainMs);
    }
  }

  #targetOf(topic: string): Promise<Target> {
    const known = this.#ports.targets.of(topic);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      this.#ports.targets.seek(topic, () => {
        const found = this.#ports.targets.of(topic);
        if (found === undefined) reject(new Error('no broker has a place for it'));
        else resolve(found);
      });
    });
  }
}

/** The message at that place alone. */
function pull({ broker, topic, queueId }: OrdinaryQueue, offset: number): Promise<PullAnswer> {
  return new Promise((resolve) => {
    const { connection } = broker;
    if (connection === undefined) {
      resolve({ kind: 'failed', code: undefined, reason: 'not there' });
      return;
    }
    connection.pull(
      {
        ...{ group: readGroup, topic, queueId, offset, messagesMax: 1 },
        ...{ suspendMs: 0, subscription: '*', timeoutMs: readBackMs },
      },
      resolve,
    );
  });
}
