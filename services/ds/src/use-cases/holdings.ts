import type { QueueId, QueueName } from '@lmqtt/common/ids';
import type { Outlet } from '../routing/outlet.ts';
import type { GroupOutlet, Queue } from '../routing/routes.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

/** For whom queues are opened. */
export interface Opener {
  readonly stored: StoredSession;
  readonly node: Outlet;
}

/** A queue that is to be subscribed to, by a shared group or not. */
export interface WantedQueue {
  readonly name: QueueName;
  readonly group: string | undefined;
}

/**
 * References to queues: who holds which queue. A queue is there while a session, a group or a pin
 * holds it; its name then stands for another generation. A node is interested in a queue while one
 * of its connected sessions subscribes to it.
 */
export interface Holdings {
  /** The queues of these names, routed on every ds, and pinned: `unpin` each. */
  open(wanted: readonly WantedQueue[], opener: Opener): Promise<Queue[]>;
  unpin(queue: Queue): void;
  /** The session for which the pinned queue was opened does not subscribe after all. */
  unwanted(queue: Queue): void;
  /**
   * A subscription that is stored holds its queue; shared ones do by their group. `firstOf`: its
   * session had nothing on the queue before.
   */
  add(subscription: StoredSubscription, firstOf?: StoredSession): void;
  remove(subscription: StoredSubscription, stored: StoredSession): void;
  /** A session that had no subscription on it any more needs it no longer. */
  letGo(queue: QueueId, stored: StoredSession): void;
  addGroup(queue: Queue, group: GroupOutlet): void;
  removeGroup(queue: Queue, group: GroupOutlet): void;
  /** A connected session of the node subscribes. */
  connect(subscription: StoredSubscription, node: Outlet): void;
  disconnect(subscription: StoredSubscription, node: Outlet): void;
  /** Everything above has taken effect on every ds; undefined: it has already. */
  settled(): Promise<void> | undefined;
}
