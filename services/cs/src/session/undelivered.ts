import type { UndeliveredMessage, UndeliveredReason } from '@lmqtt/proto/undelivered';
import { complete } from './completion.ts';
import type { OutboundSession } from './outbound-session.ts';
import { tellReceipt } from './receipts.ts';
import type { Inflight } from './window.ts';

/**
 * A message in flight is given up. Its identifier stays in use, and its place open, until it is a dead
 * letter: after a crash before that the message goes out again. The end of the connection waits for
 * nothing: what was refused is done with. Those of groups and retained messages
 * are done with at once: the group's ds keeps its message, a retained one is still there.
 */
export function giveUp(
  session: OutboundSession,
  inflight: Inflight,
  reason: UndeliveredReason,
  reasonCode: number,
  attempts = 1,
): void {
  const { node } = session;
  const { origin, offset, filter } = inflight;
  if (session.receipts !== undefined)
    tellReceipt(session, inflight.packetId, reason === 'refused' ? 'refused' : 'dead-lettered');
  const failed = reason === 'refused' || reason === 'unacknowledged';
  const place = origin?.placeOf(offset);
  if (node.undelivered === undefined || place?.kind !== 'queue') {
    complete(session, inflight, failed);
    return;
  }
  const { queue, partition } = place;
  const lastMs = node.time.wallMs;
  const message = {
    ...{ reason, reasonCode, filter, queue, partition, offset, attempts },
    ...{ firstMs: inflight.sentS * 1000, lastMs },
  };
  inflight.state = 'given up';
  const isReported = node.undelivered.report(session, message, () => {
    if (!session.closed) complete(session, inflight, failed);
  });
  if (!isReported) complete(session, inflight, failed);
}

/** A message of a queue that expired before it was sent, and is passed over. */
export function tellExpired(
  session: OutboundSession,
  place: { readonly queue: UndeliveredMessage['queue']; readonly partition: number },
  offset: number,
  filter: string,
): void {
  const { undelivered, time } = session.node;
  if (undelivered?.ofExpired !== true) return;
  const { queue, partition } = place;
  undelivered.report(session, {
    ...{ reason: 'expired', reasonCode: 0, filter, queue, partition, offset },
    ...{ attempts: 0, firstMs: 0, lastMs: time.wallMs },
  });
}
