import { isNewer } from '@lmqtt/common/message';
import type { Message, OrderKey } from '@lmqtt/common/message';

/** Maximum number of topics that are remembered. */
const topicsMax = 16_384;

interface Last {
  /** Order key of the newest message; undefined: unknown, and taken for newer than all others. */
  readonly orderKey: OrderKey | undefined;
  /** Number of the last run that had begun when it went out. */
  readonly run: number;
}

/**
 * Topics of which a live message went out while retained ones are owed, so that no older version
 * follows [MQTT-4.6.0-6]. The number of topics is bounded: past it all are forgotten, and pages
 * that were read before are to be read again.
 */
export class LiveTopics {
  readonly #topics: Map<string, Last> = new Map();
  #runs = 0;

  /** Number of a run that begins now. Messages that went out before do not count for the run. */
  beginRun(): number {
    this.#runs += 1;
    return this.#runs;
  }

  /** Notes that a live message of the topic went out. False: earlier topics were forgotten. */
  wentOut(message: Message): boolean {
    const { topic, orderKey } = message;
    const before = this.#topics.get(topic);
    const fits = before !== undefined || this.#topics.size < topicsMax;
    if (!fits) this.#topics.clear();
    this.#topics.set(topic, { orderKey: newer(before, orderKey), run: this.#runs });
    return fits;
  }

  /** Whether a live message that is not older went out since the run began. */
  isOutrun({ topic, orderKey }: Message, run: number = 0): boolean {
    const last = this.#topics.get(topic);
    if (last === undefined || last.run < run) return false;
    return last.orderKey === undefined || orderKey === undefined
      ? true
      : !isNewer(orderKey, last.orderKey);
  }

  /** A retained message of the topic, newer than the live ones, is on its way. */
  retainedSent(topic: string): void {
    this.#topics.delete(topic);
  }
}

function newer(before: Last | undefined, orderKey: OrderKey | undefined): OrderKey | undefined {
  if (before === undefined || orderKey === undefined) return orderKey;
  const known = before.orderKey;
  return known !== undefined && isNewer(orderKey, known) ? orderKey : known;
}
