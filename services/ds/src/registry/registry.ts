import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';

/**
 * What all ds nodes know together: which queues there are, which cs nodes want their messages,
 * and who is alive.
 *
 * Promises
 * - Route changes are a numbered log. Each listener is told every change once, in the order of the
 *   numbers; `change` resolves when every live ds has been told, so that a publish that is routed
 *   afterwards, on any of them, knows it. `logId` is another one after changes may have been lost.
 * - A queue identifier is never given twice, not even after a restart: it names one generation.
 * - A node is alive from `join` or `renew` until its lease has run out, by a clock that does not
 *   jump, or it leaves. `ended` tells each end once.
 */
export interface Registry {
  readonly logId: string;
  /** A new generation; opened by a change. */
  newQueue(): QueueId;
  change(changes: RouteChange[]): Promise<void>;
  onRoutes(listener: (change: RouteChange, number: number) => void): void;
  join(node: NodeId): void;
  renew(node: NodeId): void;
  leave(node: NodeId): void;
  /** The nodes whose leases have ended since the last call. */
  ended(): NodeId[];
}

export type RouteChange =
  | { readonly kind: 'open'; readonly queue: QueueId; readonly name: QueueName }
  | { readonly kind: 'close'; readonly queue: QueueId }
  | { readonly kind: 'interest'; readonly queue: QueueId; readonly node: NodeId }
  | { readonly kind: 'no interest'; readonly queue: QueueId; readonly node: NodeId };
