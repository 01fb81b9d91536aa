// Messages of the broker's own (wills) that several ds may try to send, one after another: each has
// a key for all who try, which is looked for where it would be before it is sent again.
//
// Look-ups take their time, and each its own: the appends of one lane pass nevertheless in the
// order in which they came, and one that fails takes those with it that came while it was under way.
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

interface Turn {
  readonly before: Promise<void>;
  end(): void;
}

/** One after the other, in the order in which they came. */
class Turns {
  #last: Promise<void> = Promise.resolve();

  take(): Turn {
    const before = this.#last;
    let end = (): void => undefined;
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    return { before, end };
  }
}

/** Appends of one lane that are under way. */
class OnceLane {
  open = 0;
  /** Failures that may be tried again: nothing behind one may be stored before it. */
  failures = 0;
  /** To the sender. */
  readonly sending = new Turns();
  readonly telling = new Turns();
}

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
  readonly #lanes = new Map<string, OnceLane>();

  constructor(options: RocketmqStoreOptions, ports: OnceAppendsPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  append(append: Append, once: Once, done: Done): void {
    void this.#pass(append, once, done);
  }

  async #pass(append: Append, once: Once, done: Done): Promise<void> {
    const lane = this.#enter(append.lane);
    const { failures } = lane;
    const sending = lane.sending.take();
    const telling = lane.telling.take();
    const answered = (): void => {
      if (append.reasonCode !== 0 && append.final !== true) lane.failures += 1;
      void this.#answer(append, lane, telling, done);
    };
    let isStored = false;
    let problem: string | undefined;
    try {
      isStored = await this.#prepare(append, once);
    } catch (error) {
      problem = messageOfError(error);
    }
    await sending.before;
    if (!isStored && lane.failures !== failures) problem ??= 'one before it has failed';
    if (problem !== undefined) {
      append.reasonCode = ReasonCode.serverUnavailable;
      this.#options.events.appendFailed('broker away', append.message.topic, problem);
    }
    if (isStored || problem !== undefined) answered();
    else this.#ports.append(append, answered);
    sending.end();
  }

  #enter(name: string): OnceLane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) this.#lanes.set(name, (lane = new OnceLane()));
    lane.open += 1;
    return lane;
  }

  #leave(name: string, lane: OnceLane): void {
    lane.open -= 1;
    if (lane.open === 0) this.#lanes.delete(name);
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

  async #answer(append: Append, lane: OnceLane, turn: Turn, done: Done): Promise<void> {
    let stored: StoredMessage[] = [];
    try {
      stored = await this.#readBack(append);
    } catch (error) {
      // The tail of the queue tells the message.
      this.#options.events.tailFailed(append.message.topic, messageOfError(error));
    }
    await turn.before;
    for (const message of stored) this.#ports.arrived(message);
    turn.end();
    this.#leave(append.lane, lane);
    done([append]);
  }

  /** Nothing: it is told by the tail of its queue. */
  async #readBack({ message, queues, reasonCode, orderKey }: Append): Promise<StoredMessage[]> {
    if (reasonCode !== 0 || orderKey === undefined || queues.length === 0) return [];
    const target = this.#ports.targets.of(message.topic);
    if (target === undefined || target.placement !== orderKey.placement) return [];
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + readBackMs;
    while (clock.monotonicMs() < untilMs) {
      const answer = await pull(target.queue, orderKey.offset);
      if (answer.kind === 'failed') return [];
      if (answer.kind === 'found') {
        const stored = [...this.#ports.reader.read(answer.body, target.queue.broker)];
        return stored.filter(({ queueOffset }) => queueOffset === orderKey.offset);
      }
      await pause(readAgainMs);
    }
    return [];
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
