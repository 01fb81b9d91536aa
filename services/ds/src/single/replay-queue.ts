import type { Clock } from '@lmqtt/common/clock';
import { Cursor } from '@lmqtt/common/cursor';
import type { QueueId } from '@lmqtt/common/ids';
import { replayQueueName } from '@lmqtt/common/replay-filter';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Queue } from '../routing/routes.ts';
import type { StoredSubscription } from '../session-store/stored-session.ts';
import type { LocalHoldings } from './holdings.ts';

/** Where the number of the queue is kept. */
interface ReplayQueueRecord {
  readonly replayQueue: QueueId | undefined;
  setReplayQueue(queue: QueueId | undefined): void;
  newQueue(): QueueId;
}

/**
 * The queue of all topics, which the broker itself holds for as long as REPLAY_S says. It stays, but
 * for its holder, where sessions read it from a time in which there was one.
 */
export class ReplayQueue {
  readonly #queue: Queue | undefined;
  readonly #queueStore: QueueStore;
  readonly #clock: Clock;
  readonly #keptMs: number;
  readonly #holder: StoredSubscription | undefined;

  /** Before the subscriptions of stored sessions are restored. */
  constructor(
    record: ReplayQueueRecord,
    holdings: LocalHoldings,
    options: {
      readonly queueStore: QueueStore;
      readonly clock: Clock;
      /** 0: not held. */
      readonly keptMs: number;
      /** Subscriptions of stored sessions: those to all topics hold the same queue. */
      readonly subscriptions: Iterable<StoredSubscription>;
    },
  ) {
    this.#queueStore = options.queueStore;
    this.#clock = options.clock;
    this.#keptMs = options.keptMs;
    const isKept = options.keptMs > 0;
    let known = record.replayQueue;
    let isRead = false;
    for (const { filter, group, queue } of options.subscriptions) {
      if (group !== undefined) continue;
      if (filter === replayQueueName) known = queue;
      if (queue === known) isRead = true;
    }
    if (!isKept && !isRead) {
      if (record.replayQueue !== undefined) record.setReplayQueue(undefined);
      return;
    }
    const id = known ?? record.newQueue();
    if (record.replayQueue !== id) record.setReplayQueue(id);
    this.#queue = holdings.restore(id, replayQueueName);
    if (!isKept) return;
    this.#holder = {
      filter: replayQueueName,
      options: {
        qos: 0,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 2,
        subscriptionIdentifier: undefined,
      },
      group: undefined,
      queue: id,
      cursors: [Cursor.at(0, 0)],
      retainedAfter: undefined,
      live: false,
    };
    holdings.add(this.#holder);
  }

  get id(): QueueId | undefined {
    return this.#holder === undefined ? undefined : this.#queue?.id;
  }

  /** From a timer: what is too old is needed by nobody for a replay. */
  async run(): Promise<void> {
    const [cursor] = this.#holder?.cursors ?? [];
    if (cursor === undefined || this.#queue === undefined) return;
    const beforeMs = this.#clock.nowMs() - this.#keptMs;
    const found = await this.#queueStore.since?.(this.#queue.id, 0, beforeMs);
    if (found === undefined || found.offset <= cursor.position) return;
    cursor.moveTo(found.offset);
    this.#queue.moved = true;
  }
}
