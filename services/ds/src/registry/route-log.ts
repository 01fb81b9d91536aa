import type { ClientId, NodeId, QueueId, QueueName } from '@lmqtt/common/ids';

/** Holder of a queue while nobody is connected: a stored session, or a group by its name. */
export type Holder = ClientId | `$share/${string}`;

export interface RouteOpening {
  readonly name: QueueName;
  /** The store's own name for it; fixed for the generation, whoever opened it. */
  readonly place: string;
  /**
   * A name that it shares with others where its own has no room beside those of the queues that one
   * topic can match, see `Place`. Absent: it has its own in any case.
   */
  readonly sharedPlace?: string | undefined;
  readonly holder: Holder | undefined;
  /** A cs with sessions at this ds that want its messages. */
  readonly node: NodeId | undefined;
}

export type ClusterRouteChange =
  /** All that was told before is void: what follows is everything. */
  | { readonly kind: 'reset' }
  | {
      readonly kind: 'open';
      readonly queue: QueueId;
      readonly name: QueueName;
      readonly place: string;
    }
  | { readonly kind: 'close'; readonly queue: QueueId }
  /** Change for the sessions of that cs that are at that ds. */
  | {
      readonly kind: 'interest' | 'no interest';
      readonly queue: QueueId;
      readonly node: NodeId;
      readonly ds: NodeId;
    };

/**
 * Which queues there are and which cs nodes want their messages: a log that every ds applies.
 *
 * Promises
 * - Changes are told in one order on every ds, each once; after `reset` everything is told again.
 *   That comes after a start and when changes may have been lost (another log id): this ds has then
 *   told the registry again what it holds itself (`held`) before it is told.
 * - `open` resolves when the queues of these names are there, holder and interest are stored, and
 *   every ds that is alive has applied them. Openings of one turn are one request and share the
 *   wait; what is known and routed already costs none. Answers in the order of the openings.
 * - `release` and `uninterested` are stored soon, after all openings before them.
 * - A queue identifier is never given twice. A queue is closed only by `sweep`, when it had no
 *   holder and no interest for the time given and nobody opened it meanwhile.
 * - `forget` takes the interest of a cs that ended, or of a ds that ended (all its triples).
 */
export interface RouteLog {
  /** After `Nodes.start`. Resolves when all that is stored has been told. */
  start(listener: (change: ClusterRouteChange) => void): Promise<void>;
  /** Sets the source of all that this ds holds now, to be told again after a loss. */
  held(source: () => Iterable<RouteOpening & { readonly queue: QueueId }>): void;
  open(openings: readonly RouteOpening[]): Promise<QueueId[]>;
  release(queue: QueueId, holder: Holder): void;
  uninterested(queue: QueueId, node: NodeId): void;
  /** `node`: a cs or a ds. */
  forget(node: NodeId, role: 'cs' | 'ds'): Promise<void>;
  /** All changes that this ds has asked for are stored and applied here. */
  settled(): Promise<void>;
  /**
   * Queues that are to be deleted: nobody held them for `unheldMs`. They are closed on every ds
   * when this resolves, and given to this ds alone to be deleted from the store; `swept` then, or
   * they are given again. Openings of their names wait until then, and are refused in the end.
   */
  sweep(unheldMs: number, queuesMax: number): Promise<{ queue: QueueId; place: string }[]>;
  swept(queues: readonly QueueId[]): Promise<void>;
  /**
   * Queues that were swept in the last days, the latest first, a bounded number: a store may bring
   * them back. One that is opened without holder and node is swept again, like any other.
   */
  sweptLately(): Promise<{ readonly name: QueueName; readonly place: string }[]>;
}
