// Brokers store faster than one queue can be read. Where a tail that is at work lags too far
// behind, publishers to its queue wait: otherwise everybody's messages would come later and later.
// A tail that stands still holds nobody up.
import type { Clock } from '@lmqtt/common/clock';
import type { NodeId } from '@lmqtt/common/ids';
import type { Inbox } from '../../registry/inbox.ts';
import type { RocketmqStoreSettings } from './options.ts';
import type { OrdinaryQueue } from './ordinary-queue.ts';

const use = 'tails';
const tellMs = 100;
/** Longer than from one report to the next. */
const movingMs = 500;
/** Part of the maximum lag of a tail from which on the other ds are told. */
const toldPart = 0.25;

/** Topic, broker, queue, position. */
type Report = readonly [string, string, number, number];

interface TailPaceOptions {
  readonly settings: Pick<RocketmqStoreSettings, 'tailLagMax'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly nodes: { readonly aliveDs: ReadonlySet<NodeId> };
  readonly self: NodeId;
  readonly inbox?: Inbox;
}

interface TailsHere {
  readonly all: Iterable<{
    readonly queue: OrdinaryQueue;
    readonly position: number;
    readonly lag: number;
  }>;
}

interface KnownTopics {
  named(topic: string): { readonly queues: ReadonlyMap<string, OrdinaryQueue> } | undefined;
}

export class TailPace {
  readonly #options: TailPaceOptions;
  readonly #topics: KnownTopics;
  readonly #tails: TailsHere;
  readonly #timer: NodeJS.Timeout;
  /**
   * Queues that were told the last time; they are told once more when they do not lag any longer.
   */
  #told = new Set<OrdinaryQueue>();

  constructor(options: TailPaceOptions, topics: KnownTopics, tails: TailsHere) {
    this.#options = options;
    this.#topics = topics;
    this.#tails = tails;
    this.#timer = setInterval(() => this.#tell(), tellMs).unref();
    options.inbox?.onMessage((_from, message) => {
      if (message.kind === 'to' && message.use === use) this.#heard(message.body as Report[]);
    });
  }

  /** True where a message that is stored there now would come late. */
  isAhead({ end, tailAt, tailMovedAtMs }: OrdinaryQueue): boolean {
    const { settings, clock } = this.#options;
    if (end < 0 || tailAt < 0 || end - tailAt <= settings.tailLagMax) return false;
    return clock.monotonicMs() - tailMovedAtMs < movingMs;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const { inbox, nodes, self, settings } = this.#options;
    if (inbox === undefined) return;
    const reports: Report[] = [];
    const lagging = new Set<OrdinaryQueue>();
    for (const { queue, position, lag } of this.#tails.all) {
      const isLagging = lag > toldPart * settings.tailLagMax;
      if (isLagging) lagging.add(queue);
      if (isLagging || this.#told.has(queue))
        reports.push([queue.topic, queue.broker.name, queue.queueId, position]);
    }
    this.#told = lagging;
    if (reports.length === 0) return;
    for (const id of nodes.aliveDs)
      if (id !== self) inbox.send(id, { kind: 'to', use, body: reports });
  }

  #heard(reports: readonly Report[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [topic, broker, queueId, position] of reports)
      this.#topics
        .named(topic)
        ?.queues.get(`${topic}/${broker}/${queueId}`)
        ?.tailMoved(position, nowMs);
  }
}
