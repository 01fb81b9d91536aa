import type { Clock } from '@lmqtt/common/clock';
import type { TakenEntry } from '../retry-queue.ts';
import { entryOf, entryProperty, numberOf } from './entry-message.ts';
import type { OrdinaryTopic, TopicQueue } from './ordinary-topic.ts';

/** How far a queue was taken. */
interface Taking {
  next: number;
  committed: number;
  /** Taken and not acknowledged. */
  readonly open: Set<number>;
}

interface WaitingEntry extends TakenEntry {
  /** Wall clock in ms. */
  readonly dueMs: number;
}

const pullMax = 32;
/** Whoever took nothing for so long begins anew: another ds may have taken meanwhile. */
const pauseMs = 10_000;

/**
 * Entries of the retry topic that are due, since RocketMQ shows them then. The position of each queue
 * is a consumer offset below which all are acknowledged, so after a restart those above come again,
 * and after the crash of a broker those of the last seconds as well.
 */
export class WaitingEntries {
  readonly #topic: OrdinaryTopic;
  readonly #clock: Clock;
  readonly #taking = new Map<string, Taking>();
  #tookMs = Number.NEGATIVE_INFINITY;

  constructor(topic: OrdinaryTopic, clock: Clock) {
    this.#topic = topic;
    this.#clock = clock;
  }

  async take(entriesMax: number): Promise<WaitingEntry[]> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#tookMs > pauseMs) this.#taking.clear();
    this.#tookMs = nowMs;
    const taken: WaitingEntry[] = [];
    for (const queue of await this.#topic.queues()) {
      const room = entriesMax - taken.length;
      if (room <= 0) break;
      taken.push(...(await this.#takeOf(queue, Math.min(room, pullMax))));
    }
    return taken;
  }

  async acknowledge(ids: readonly string[]): Promise<void> {
    const queues = await this.#topic.queues();
    for (const id of ids) {
      const at = id.indexOf('.');
      this.#taking.get(id.slice(at + 1))?.open.delete(Number(id.slice(0, at)));
    }
    for (const queue of queues) {
      const taking = this.#taking.get(queue.name);
      if (taking === undefined) continue;
      const position = Math.min(taking.next, ...taking.open);
      if (position <= taking.committed) continue;
      await this.#topic.commit(queue, position);
      taking.committed = position;
    }
  }

  async #takeOf(queue: TopicQueue, entriesMax: number): Promise<WaitingEntry[]> {
    const taking = await this.#takingOf(queue);
    const { messages, next } = await this.#topic.pull(queue, taking.next, entriesMax);
    const taken: WaitingEntry[] = [];
    for (const stored of messages) {
      const { queueOffset } = stored;
      const entry = queueOffset < taking.next ? undefined : entryOf(stored);
      if (entry === undefined) continue;
      taking.open.add(queueOffset);
      const dueMs = numberOf(stored, entryProperty.dueMs);
      taken.push({ id: `${queueOffset}.${queue.name}`, entry, dueMs });
    }
    taking.next = next;
    return taken;
  }

  async #takingOf(queue: TopicQueue): Promise<Taking> {
    let taking = this.#taking.get(queue.name);
    if (taking === undefined) {
      const committed = (await this.#topic.committed(queue)) ?? 0;
      taking = { next: committed, committed, open: new Set() };
      this.#taking.set(queue.name, taking);
    }
    return taking;
  }
}
