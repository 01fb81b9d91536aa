// Messages of the broker's own (wills) that several ds may try to send, one after another: each has a
// key for all who try, which is looked for where it would be before it is sent again.
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Append, Once } from '../queue-store.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { Target } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import type { Targets } from './targets.ts';

/** How far clocks of brokers and of the session store may be apart. */
const clocksApartMs = 60_000;

type Done = (answered: Append[]) => void;

export class OnceAppends {
  readonly #options: RocketmqStoreOptions;
  readonly #targets: Targets;
  readonly #outcomes: Outcomes;
  readonly #append: (append: Append, done: Done) => void;

  constructor(
    options: RocketmqStoreOptions,
    targets: Targets,
    outcomes: Outcomes,
    append: (append: Append, done: Done) => void,
  ) {
    this.#options = options;
    this.#targets = targets;
    this.#outcomes = outcomes;
    this.#append = append;
  }

  async append(append: Append, once: Once, done: Done): Promise<void> {
    try {
      if (!(await this.#prepare(append, once))) {
        this.#append(append, done);
        return;
      }
    } catch (error) {
      append.reasonCode = ReasonCode.serverUnavailable;
      const { topic } = append.message;
      this.#options.events.appendFailed('broker away', topic, messageOfError(error));
    }
    done([append]);
  }

  /** True: it is stored already, and the append is answered. */
  async #prepare(append: Append, { key, sinceMs, again }: Once): Promise<boolean> {
    const { queue, placement } = await this.#targetOf(append.message.topic);
    const { connection } = queue.broker;
    if (connection === undefined) throw new Error(`${queue.broker.name} is not there`);
    // What comes of the send may have to be looked for from here.
    if (queue.end < 0) queue.end = Math.max(queue.end, await connection.maxOffset(queue));
    if (!again) return false;
    const from = await connection.searchOffset(queue, sinceMs - clocksApartMs);
    const offset = await this.#outcomes.seek({ key, queue, from });
    if (offset === undefined) throw new Error('stopping');
    this.#options.events.outcomeFound(append.message.topic, offset >= 0);
    if (offset < 0) return false;
    append.reasonCode = 0;
    append.orderKey = { placement, offset };
    return true;
  }

  #targetOf(topic: string): Promise<Target> {
    const known = this.#targets.of(topic);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      this.#targets.seek(topic, () => {
        const found = this.#targets.of(topic);
        if (found === undefined) reject(new Error('no broker has a place for it'));
        else resolve(found);
      });
    });
  }
}
