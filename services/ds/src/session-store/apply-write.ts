import type { SessionWrite } from '@lmqtt/proto/link';
import type { Place } from '@lmqtt/proto/session-state';
import type { StoredSession } from './stored-session.ts';

/** Makes the change of one write to the session in memory; to be called after it was recorded. */
export function applyWrite(session: StoredSession, write: SessionWrite): void {
  switch (write.kind) {
    case 'sent':
      session.putOutbound({
        packetId: write.packetId,
        qos: write.qos,
        state: 'sent',
        sequence: write.sequence,
        place: write.place,
        filter: write.filter,
      });
      return;
    case 'released':
      release(session, write.packetId);
      return;
    case 'done': {
      const place = session.outboundOf(write.packetId)?.place;
      if (place === undefined) return;
      session.removeOutbound(write.packetId);
      session.markDone(place);
      return;
    }
    case 'position':
      session.moveTo(write.queue, write.partition, write.position);
      return;
    case 'inbound-done':
      session.removeInbound(write.packetId);
      return;
    case 'retained-cursor':
      moveRetainedCursor(session, write.filter, write.after);
      return;
    case 'assigned-done':
    case 'fenced':
      return;
  }
}

export function samePlace(a: Place, b: Place): boolean {
  if (a.kind === 'retained' || b.kind === 'retained')
    return (
      a.kind === 'retained' &&
      b.kind === 'retained' &&
      a.topic === b.topic &&
      a.orderKey.placement === b.orderKey.placement &&
      a.orderKey.offset === b.orderKey.offset
    );
  return (
    a.kind === b.kind && a.queue === b.queue && a.partition === b.partition && a.offset === b.offset
  );
}

export function release(session: StoredSession, packetId: number): void {
  const known = session.outboundOf(packetId);
  if (known !== undefined) session.putOutbound({ ...known, state: 'released' });
}

export function moveRetainedCursor(
  session: StoredSession,
  filter: string,
  after: string | undefined,
): void {
  const subscription = session.subscription(filter);
  if (subscription !== undefined) subscription.retainedAfter = after;
}
