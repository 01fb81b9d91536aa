import type { GroupId, QueueId } from '@lmqtt/common/ids';
import type { Cursor } from '@lmqtt/common/cursor';

/**
 * Shared groups: which there are, and how far each has come in its queue.
 *
 * Promises
 * - `make` and `remove` are stored with the next commit of the session store, in their order to
 *   the changes of sessions.
 * - `done` is lazy: after a crash a message may be outstanding again that was done, unless a
 *   member's stored session says otherwise.
 * - `spend`: after a crash the message counts as done, though until then it is not. For QoS 2 in
 *   flight to a member whose session does not outlive a crash [MQTT-4.8.2-5].
 */
export interface GroupStore {
  make(name: string, queue: QueueId, cursors: Cursor[]): StoredGroup;
  remove(group: StoredGroup): void;
  done(group: StoredGroup, partition: number, offset: number): void;
  spend(group: StoredGroup, partition: number, offset: number): void;
}

export interface StoredGroup {
  readonly id: GroupId;
  /** `{group}/{filter}` */
  readonly name: string;
  readonly queue: QueueId;
  readonly cursors: Cursor[];
}
