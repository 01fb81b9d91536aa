// Durable facts around the send of a QoS 2 publish: its intent before, its identifier after. All of
// a turn are one call. An intent names where the message goes and the least offset that it can have
// there, which is asked of the broker once and known from its answers from then on.
import type { UniqueKeys } from '../../rocketmq/names/unique-key.ts';
import type { Intent } from '../intents.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue } from './ordinary-queue.ts';
import type { SendLane, PendingSend } from './lane.ts';
import type { Targets } from './targets.ts';

interface IntendingCalls {
  /** `kept` false: the session is another's. */
  intended(send: PendingSend, kept: boolean): void;
  /** The identifier is durable. */
  told(send: PendingSend): void;
  /** The broker does not say where its queue ends. */
  failed(send: PendingSend, reason: string): void;
}

export class Intending {
  readonly #options: RocketmqStoreOptions;
  readonly #calls: IntendingCalls;
  readonly #asking = new Map<OrdinaryQueue, PendingSend[]>();
  #toIntend: PendingSend[] = [];
  #toTell: PendingSend[] = [];
  #toDrop: PendingSend[] = [];
  #scheduled = false;

  constructor(options: RocketmqStoreOptions, calls: IntendingCalls) {
    this.#options = options;
    this.#calls = calls;
  }

  /** The intents of all that wait in the lane, not of one after the other. */
  intendAll(lane: SendLane, targets: Targets, keys: UniqueKeys): void {
    const nowMs = this.#options.clock.nowMs();
    for (let at = lane.begun; at < lane.sends.length; at += 1) {
      const send = lane.sends[at]!;
      if (send.state !== 'to intend') continue;
      const target = targets.of(send.append.message.topic);
      if (target === undefined) break;
      send.target = target;
      if (send.key === '') send.key = keys.next(nowMs);
      this.#begin(send, target.queue);
    }
  }

  #begin(send: PendingSend, queue: OrdinaryQueue): void {
    send.state = 'intending';
    if (queue.end >= 0) {
      this.#intend(send, queue.end);
      return;
    }
    const asking = this.#asking.get(queue);
    if (asking !== undefined) asking.push(send);
    else {
      this.#asking.set(queue, [send]);
      void this.#ask(queue);
    }
  }

  tell(send: PendingSend): void {
    send.state = 'telling';
    this.#toTell.push(send);
    this.#schedule();
  }

  /** The message is not stored, and will not be. */
  drop(send: PendingSend): void {
    this.#toDrop.push(send);
    this.#schedule();
  }

  #intend(send: PendingSend, from: number): void {
    send.from = from;
    this.#toIntend.push(send);
    this.#schedule();
  }

  async #ask(queue: OrdinaryQueue): Promise<void> {
    let failure: string | undefined;
    try {
      const { connection } = queue.broker;
      if (connection === undefined) throw new Error(`${queue.broker.name} is not there`);
      const end = await connection.maxOffset(queue);
      queue.end = Math.max(queue.end, end);
    } catch (error) {
      failure = messageOfError(error);
    }
    const sends = this.#asking.get(queue) ?? [];
    this.#asking.delete(queue);
    for (const send of sends) {
      if (failure === undefined) this.#intend(send, queue.end);
      else this.#calls.failed(send, failure);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const { intents } = this.#options;
    const [intending, telling, dropping] = [this.#toIntend, this.#toTell, this.#toDrop];
    this.#toIntend = [];
    this.#toTell = [];
    this.#toDrop = [];
    if (dropping.length > 0) intents.dropped(dropping.map(({ append }) => append.inbound!));
    if (intending.length > 0) {
      intents.intend(intending.map(intentOf), (kept) => {
        for (const [index, send] of intending.entries())
          this.#calls.intended(send, kept[index] === true);
      });
    }
    if (telling.length > 0) {
      const ids = telling.map(({ append }) => append.inbound!);
      intents.stored(ids, () => {
        for (const send of telling) this.#calls.told(send);
      });
    }
  }
}

function intentOf({ append, key, target, from }: PendingSend): Intent {
  const { topic, broker, queueId } = target!.queue;
  return { ...append.inbound!, key, place: { topic, broker: broker.name, queueId }, from };
}
