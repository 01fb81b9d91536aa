import type { DsEvents } from './events.ts';
import type { Damage } from './queue-store/queue-store.ts';
import type { StoredSession } from './session-store/stored-session.ts';

/** Messages that are damaged are lost to every session that has not had them. */
export function countDamage(
  sessions: Iterable<StoredSession>,
  events: DsEvents,
  { queue, partition, offsets }: Damage,
): void {
  events.messagesDamaged(queue, offsets.length);
  for (const session of sessions) {
    for (const subscription of session.subscriptions) {
      if (subscription.queue !== queue || subscription.group !== undefined) continue;
      const cursor = subscription.cursors.find((one) => one.partition === partition);
      if (cursor === undefined) continue;
      const least = Math.max(cursor.start, cursor.position);
      for (const offset of offsets) {
        if (offset >= least && !cursor.done.includes(offset)) session.lost += 1;
      }
    }
  }
}
