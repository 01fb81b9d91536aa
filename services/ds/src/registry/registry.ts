import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';

/**
 * Knowledge that all ds nodes share: which queues there are, which cs nodes want their messages,
 * and who is alive.
 *
 * Promises
 * - Route changes are a numbered log. Each listener is told every change once, in the order of the
 *   numbers; `change` resolves when every live ds has been told, so that a publish that is routed
 *   afterwards, on any of them, knows it. `logId` is another one after changes may have been lost.
 * - A queue identifier is never given twice, not even after a restart: it names one generation.
 * - A node is alive from `join` until its lease has run out, by a clock that does not jump, or it
 *   leaves. Only `renew` prolongs the lease; it answers whether the node was alive. `ended` tells
 *   each end once.
 * - Where nodes outlive this ds, those that are alive are known after a restart, from when `join`
 *   resolves, and they are alive for two leases from the start. Their end is stored no later than
 *   what is stored after `ended` or `leave` has told it.
 */
export interface Registry {
  readonly logId: string;
  /** A new generation; opened by a change. */
  newQueue(): QueueId;
  change(changes: RouteChange[]): Promise<void>;
  onRoutes(listener: (change: RouteChange, number: number) => void): void;
  readonly leaseMs: number;
  /** Nodes that are alive. */
  readonly attached: AttachedNode[];
  join(node: NodeId, instance: string): Promise<void>;
  renew(node: NodeId): boolean;
  leave(node: NodeId): void;
  /** The nodes whose leases have ended since the last call. */
  ended(): NodeId[];
}

/** A connection node, and which of its processes: another one has none of its sessions. */
export interface AttachedNode {
  readonly node: NodeId;
  readonly instance: string;
}

export type RouteChange =
  | { readonly kind: 'open'; readonly queue: QueueId; readonly name: QueueName }
  | { readonly kind: 'close'; readonly queue: QueueId }
  | { readonly kind: 'interest'; readonly queue: QueueId; readonly node: NodeId }
  | { readonly kind: 'no interest'; readonly queue: QueueId; readonly node: NodeId };
