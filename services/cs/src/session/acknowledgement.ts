import type { OutboundSession } from './outbound-session.ts';
import { complete } from './sending.ts';

/** Whether an acknowledgement fits what is in flight: `wrong` is for another QoS or out of turn. */
export type Fit = 'ok' | 'unknown' | 'wrong';

/** PUBACK for a publish of ours; `failed`: with a reason code of an error, which is final. */
export function puback(session: OutboundSession, packetId: number, failed: boolean): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 1 || inflight.state === 'storing') return 'wrong';
  complete(session, inflight, failed);
  return 'ok';
}

/** PUBREC: PUBREL follows when the release is durable [MQTT-4.3.3-8]. */
export function pubrec(session: OutboundSession, packetId: number, failed: boolean): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 2 || inflight.state === 'storing') return 'wrong';
  if (failed) {
    complete(session, inflight, true);
  } else if (inflight.state === 'released' || !session.persistent) {
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
  return 'ok';
}

export function pubcomp(session: OutboundSession, packetId: number, failed: boolean): Fit {
  const inflight = session.window.get(packetId);
  if (inflight === undefined) return 'unknown';
  if (inflight.qos !== 2 || inflight.state !== 'released') return 'wrong';
  complete(session, inflight, failed);
  return 'ok';
}
