import { complete } from './completion.ts';
import type { OutboundSession } from './outbound-session.ts';
import { giveUp } from './undelivered.ts';
import type { Inflight } from './window.ts';

/** Whether an acknowledgement fits what is in flight: `wrong` is for another QoS or out of turn. */
type Fit = 'ok' | 'unknown' | 'wrong';

/** PUBACK for a publish of ours; `failed`: with a reason code of an error, which is final. */
export function puback(
  session: OutboundSession,
  packetId: number,
  failed: boolean,
  reasonCode = 0,
): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 1 || inflight.state === 'storing') return 'wrong';
  if (inflight.state === 'given up') return 'ok';
  if (failed) giveUp(session, inflight, 'refused', reasonCode);
  else complete(session, inflight, false);
  return 'ok';
}

/** PUBREC: PUBREL follows when the release is durable [MQTT-4.3.3-8]. */
export function pubrec(
  session: OutboundSession,
  packetId: number,
  failed: boolean,
  reasonCode = 0,
): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 2 || inflight.state === 'storing') return 'wrong';
  if (inflight.state === 'given up') return 'ok';
  if (failed) giveUp(session, inflight, 'refused', reasonCode);
  else release(session, inflight);
  return 'ok';
}

/**
 * A message in flight that the client may not read any more is not sent again. It may have come at
 * QoS 2, so its identifier is released first: used anew before, it would be taken for a repetition.
 */
export function withhold(session: OutboundSession, inflight: Inflight): void {
  session.receipts?.delete(inflight.packetId);
  if (inflight.qos === 1) complete(session, inflight, false);
  else release(session, inflight);
}

function release(session: OutboundSession, inflight: Inflight): void {
  const { packetId } = inflight;
  if (inflight.state === 'released' || !session.persistent) {
    inflight.state = 'released';
    session.outlet.sendPubrel(packetId);
  } else if (inflight.state === 'sent') {
    inflight.state = 'releasing';
    const write = { kind: 'released', session: session.handle, packetId } as const;
    session.node.journal.writeDurably(write, () => {
      if (session.closed) return;
      inflight.state = 'released';
      session.outlet.sendPubrel(packetId);
    });
  }
}

export function pubcomp(session: OutboundSession, packetId: number, failed: boolean): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 2 || inflight.state !== 'released') return 'wrong';
  complete(session, inflight, failed);
  return 'ok';
}
