import type { Message } from '@lmqtt/common/message';
import { lowerQos } from '@lmqtt/common/qos';
import type { Qos } from '@lmqtt/common/qos';
import type { SessionCursor } from './cursor.ts';
import { match } from './match.ts';
import type { OutboundSession } from './outbound-session.ts';
import { expired, hasRoom, putInFlight, send, sendQos0 } from './sending.ts';
import type { Terms } from './terms.ts';
import { tellExpired } from './undelivered.ts';

/** A cursor that a message is for, and the terms that count for it. */
interface Wanting {
  readonly cursor: SessionCursor;
  readonly terms: Terms;
}

/** A cursor that a message is next for, and the message's offset there. */
interface Owed extends Wanting {
  readonly offset: number;
}

/** One delivery for all subscriptions of a session that a message matches. */
interface Overlap {
  readonly owed: readonly Owed[];
  /** Some subscription wants it and it has not gone out by another queue already. */
  readonly sends: boolean;
  /** The highest that a subscription grants, at most the message's own. */
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** Filter of the subscription with that QoS. */
  readonly filter: string;
}

/**
 * Treatment of a message that is in several queues of a session: it goes out when it is next in all
 * of those in which it is owed, at or past their starts. `waits`: others come first in one of them.
 */
function overlapOf(
  session: OutboundSession,
  cursor: SessionCursor,
  message: Message,
): Overlap | 'waits' {
  const owed: Owed[] = [];
  let delivered = false;
  for (const entry of message.entries) {
    const other =
      entry.queue === cursor.feed.queue ? cursor : session.cursorOf(entry.queue, entry.partition);
    if (other === undefined || entry.offset < other.start) continue;
    if (entry.offset < other.next) {
      delivered = true;
      continue;
    }
    if (other.wasDone(entry.offset)) delivered = true;
    else if (entry.previous >= other.next) return 'waits';
    owed.push({ cursor: other, terms: other.termsAt(entry.offset), offset: entry.offset });
  }
  const joined = join(owed, message, session.clientId);
  return {
    owed,
    sends: joined.wanted && !delivered,
    qos: lowerQos(message.qos, joined.qos),
    retain: joined.retain,
    identifiers: joined.identifiers,
    filter: joined.filter ?? cursor.subscription.filter,
  };
}

interface Joined {
  readonly wanted: boolean;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly identifiers: number[] | undefined;
  readonly filter: string | undefined;
}

/** The options of all subscriptions that match, put together [MQTT-3.3.4-2], [MQTT-3.3.4-3]. */
export function join(wanting: readonly Wanting[], message: Message, clientId: string): Joined {
  let qos: Qos = 0;
  let retain = false;
  let identifiers: number[] | undefined;
  let filter: string | undefined;
  for (const { cursor, terms } of wanting) {
    if (!match(cursor, terms, message, clientId)) continue;
    const { options, identifiers: own } = terms;
    if (filter === undefined || options.qos > qos) {
      qos = options.qos;
      filter = cursor.subscription.filter;
    }
    if (options.retainAsPublished && message.retain) retain = true;
    if (own !== undefined) (identifiers ??= []).push(...own);
  }
  return { wanted: filter !== undefined, qos, retain, identifiers, filter };
}

/** One delivery for all subscriptions that match, when it is next in all of them. */
export function advanceOverlapping(
  session: OutboundSession,
  cursor: SessionCursor,
  message: Message,
): 'sent' | 'waits' {
  const overlap = overlapOf(session, cursor, message);
  if (overlap === 'waits') return 'waits';
  const { owed, qos, retain, identifiers, filter } = overlap;
  if (!overlap.sends || qos === 0 || expired(session, message)) {
    if (overlap.sends && qos > 0 && owed[0] !== undefined)
      tellExpired(session, owed[0].cursor.feed, owed[0].offset, filter);
    for (const each of owed) each.cursor.pass(each.offset, undefined);
    if (overlap.sends && sendQos0(session, message, retain, identifiers)) session.wentOut(message);
    return 'sent';
  }
  if (!hasRoom(session)) return 'waits';
  const own = owed.find((each) => each.cursor === cursor) ?? owed[0];
  if (own === undefined) throw new Error('a message that no cursor is owed');
  const place = session.persistent ? own.cursor.placeOf(own.offset) : undefined;
  const inflight = putInFlight(session, qos, place, own.offset, own.cursor, filter);
  for (const each of owed) {
    if (each === own) {
      each.cursor.pass(each.offset, inflight);
      continue;
    }
    const outstanding = { offset: each.offset, done: false };
    each.cursor.pass(each.offset, outstanding);
    (inflight.shadows ??= []).push({ origin: each.cursor, outstanding });
  }
  send(session, inflight, message, retain, identifiers);
  session.wentOut(message);
  return 'sent';
}
