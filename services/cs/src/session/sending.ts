import type { Message } from '@lmqtt/common/message';
import type { Place } from '@lmqtt/proto/session-state';
import { complete } from './completion.ts';
import { giveUp } from './undelivered.ts';
import type { OutboundSession } from './outbound-session.ts';
import { noteReceipt, tellExpiredReceipt } from './receipts.ts';
import { Inflight } from './window.ts';
import type { Origin } from './window.ts';

/**
 * One message on its way to a session's client, from its packet identifier to its end: what is
 * stored of it, and when. Which message comes next is its callers' matter.
 *
 * Invariants
 * - At most `window.size` messages are in flight: `putInFlight` only where there `hasRoom`.
 * - QoS 2 of a persistent session: identifier and place are durable before the first PUBLISH, so
 *   that neither is ever sent twice with another meaning. QoS 1 behind it waits with it: what goes
 *   out again is in the order of the first sending.
 */

/** Whether one more message may be in flight; where it may not, that is counted. */
export function hasRoom(session: OutboundSession): boolean {
  if (session.window.free > 0) return true;
  session.node.events.windowFull();
  return false;
}

export function expired(session: OutboundSession, message: Message): boolean {
  return message.expiresAtMs !== 0 && message.expiresAtMs <= session.node.time.wallMs;
}

/** Sends a message at QoS 0 now or never. Answers whether it was sent. */
export function sendQos0(
  session: OutboundSession,
  message: Message,
  retain: boolean,
  identifiers: readonly number[] | undefined,
): boolean {
  const { outlet, node } = session;
  if (expired(session, message)) {
    node.events.expired();
    if (message.properties !== undefined && message.qos > 0) tellExpiredReceipt(session, message);
  } else if (!outlet.writable) {
    node.events.droppedSlow();
  } else if (!outlet.sendPublish(message, 0, false, retain, 0, identifiers)) {
    node.events.tooLarge();
  } else {
    return true;
  }
  return false;
}

/** Takes a packet identifier for a message. */
export function putInFlight(
  session: OutboundSession,
  qos: 1 | 2,
  place: Place | undefined,
  offset: number,
  origin: Origin | undefined,
  filter: string,
): Inflight {
  const { window } = session;
  const packetId = window.nextPacketId();
  const sequence = window.nextSequence();
  const isStored = session.persistent || place?.kind === 'group';
  const state = isStored && (qos === 2 || window.storing > 0) ? 'storing' : 'sent';
  const sentS = (session.node.time.wallMs / 1000) >>> 0;
  const inflight = new Inflight(
    packetId,
    qos,
    sequence,
    place,
    offset,
    origin,
    filter,
    state,
    sentS,
  );
  window.add(inflight);
  return inflight;
}

/** Stores the identifier and sends; at QoS 2 in this order, at QoS 1 without waiting for that. */
export function send(
  session: OutboundSession,
  inflight: Inflight,
  message: Message,
  retain: boolean,
  identifiers: readonly number[] | undefined,
): void {
  const { packetId, qos, sequence, place, filter } = inflight;
  const { handle, persistent, node, window } = session;
  if (place === undefined || (!persistent && place.kind !== 'group')) {
    transmit(session, inflight, message, false, retain, identifiers);
    return;
  }
  const write = {
    kind: 'sent',
    session: handle,
    packetId,
    qos,
    sequence,
    place,
    filter,
  } as const;
  if (inflight.state !== 'storing') {
    node.journal.write(write);
    transmit(session, inflight, message, false, retain, identifiers);
    return;
  }
  window.storing += 1;
  node.journal.writeDurably(write, () => {
    window.storing -= 1;
    if (session.closed) return;
    if (place.kind === 'retained' && session.isOutrun(message)) {
      complete(session, inflight, false);
      return;
    }
    inflight.state = 'sent';
    // The rules may have changed meanwhile.
    if (session.rights?.allows(message.topic) === false) {
      complete(session, inflight, false);
      return;
    }
    // Retained messages may have been asked for meanwhile.
    if (place.kind !== 'retained') session.wentOut(message);
    transmit(session, inflight, message, false, retain, identifiers);
  });
}

/** Sends again, under its identifier and with DUP, what was sent before a reconnect. */
export function resend(
  session: OutboundSession,
  inflight: Inflight,
  message: Message,
  retain: boolean,
  identifiers: readonly number[] | undefined,
): void {
  // [MQTT-3.3.1-1]
  transmit(session, inflight, message, true, retain, identifiers);
}

function transmit(
  session: OutboundSession,
  inflight: Inflight,
  message: Message,
  dup: boolean,
  retain: boolean,
  identifiers: readonly number[] | undefined,
): void {
  const { packetId, qos } = inflight;
  if (session.outlet.sendPublish(message, qos, dup, retain, packetId, identifiers)) {
    if (message.properties !== undefined) noteReceipt(session, packetId, qos, message);
    return;
  }
  // [MQTT-3.1.2-25]: as if it had been sent.
  session.node.events.tooLarge();
  giveUp(session, inflight, 'too large', 0);
}
