import { Cursor, isTime } from '@lmqtt/common/cursor';
import type { ClientId, QueueId } from '@lmqtt/common/ids';
import type { LiveSession } from '../sessions/live-session.ts';
import type { PositionMirror } from '../queue-store/position-mirror.ts';
import type { PartitionEnd } from '../queue-store/queue-store.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

/**
 * The positions of stored sessions, mirrored now and then, and looked for where a session is new to
 * the session store though its client says that it goes on: that store was lost, or the client
 * comes from nodes of another make.
 */
export class SessionPositions {
  readonly #mirror: PositionMirror;
  readonly #failed: (error: unknown) => void;
  readonly #noted = new WeakMap<Cursor, number>();

  constructor(mirror: PositionMirror, failed: (error: unknown) => void) {
    this.#mirror = mirror;
    this.#failed = failed;
  }

  /** From a timer. */
  run(live: Iterable<LiveSession>): void {
    for (const { stored } of live) this.disconnected(stored);
  }

  disconnected(stored: StoredSession): void {
    if (!stored.persistent || stored.removed) return;
    for (const { queue, group, cursors } of stored.subscriptions) {
      if (group !== undefined) continue;
      const moved = cursors.filter((cursor) => this.#noted.get(cursor) !== cursor.position);
      if (moved.length === 0) continue;
      for (const cursor of moved) this.#noted.set(cursor, cursor.position);
      this.#mirror.note(stored.clientId, queue, moved);
    }
  }

  unsubscribed({ clientId, persistent }: StoredSession, subscription: StoredSubscription): void {
    if (!persistent || subscription.group !== undefined) return;
    const partitions = subscription.cursors.map(({ partition }) => partition);
    this.#mirror.forget(clientId, subscription.queue, partitions);
  }

  ended(stored: StoredSession): void {
    for (const subscription of stored.subscriptions) this.unsubscribed(stored, subscription);
  }

  /** Positions from which a new subscription starts. */
  async startOf(session: LiveSession, queue: QueueId, ends: PartitionEnd[]): Promise<Cursor[]> {
    const starts = ends.map(({ partition, end }) => Cursor.at(partition, end));
    if (!session.comesBack || !session.stored.persistent) return starts;
    const found = await this.#find(session.clientId, queue);
    if (found.length === 0) return starts;
    return ends.map(({ partition, first, end }) => {
      const position = found.find((one) => one.partition === partition)?.position ?? end;
      if (isTime(end)) return Cursor.at(partition, position);
      return Cursor.at(partition, Math.min(end, Math.max(first, position)));
    });
  }

  async #find(
    clientId: ClientId,
    queue: QueueId,
  ): Promise<{ readonly partition: number; readonly position: number }[]> {
    try {
      return await this.#mirror.find(clientId, queue);
    } catch (error) {
      this.#failed(error);
      return [];
    }
  }
}
