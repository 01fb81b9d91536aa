import { clientId, epoch, groupId, queueId } from '@lmqtt/common/ids';
import type { OutboundState, SubscriptionOptions } from '@lmqtt/proto/session-state';
import { decodeMessage, encodeMessage } from '../queue-store/single-message.ts';
import { Cursor } from '@lmqtt/common/cursor';
import {
  type SessionUser,
  StoredSession,
  type StoredSubscription,
  type StoredWill,
} from './stored-session.ts';

/** Fields of a session that a claim or the end of a connection sets. */
export interface SessionHead {
  readonly number: number;
  readonly clientId: string;
  readonly madeEpoch: number;
  readonly epoch: number;
  /** null: anonymous; not there in records of versions without users. */
  readonly user?: SessionUser | undefined;
  readonly expiryS: number;
  readonly connected: boolean;
  /** While absent; 0: never. */
  readonly expiresAtMs: number;
}

export interface SubscriptionRecord {
  readonly filter: string;
  readonly options: SubscriptionOptions;
  readonly group: number | undefined;
  readonly queue: number;
  /** Partition, start, position, done. */
  readonly cursors: [number, number, number, number[]][];
  readonly retainedAfter: string | undefined;
}

export interface SessionEntry extends SessionHead {
  readonly subscriptions: SubscriptionRecord[];
  readonly outbound: OutboundState[];
  readonly inbound: number[];
}

export interface WillRecord {
  readonly number: number;
  readonly clientId: string;
  readonly session: number;
  readonly message: string;
  readonly delayS: number;
  readonly messageExpiryS: number | undefined;
  readonly principal: unknown;
  /** 0: its client is connected. */
  readonly dueAtMs: number;
  readonly graced: boolean;
}

export function headOf(session: StoredSession): SessionHead {
  return {
    number: session.number,
    clientId: session.clientId,
    madeEpoch: session.madeEpoch,
    epoch: session.epoch,
    user: session.user,
    expiryS: session.sessionExpiryS,
    connected: session.connected,
    expiresAtMs: session.expiresAtMs,
  };
}

export function sessionOf(head: SessionHead): StoredSession {
  const session = new StoredSession(
    head.number,
    clientId(head.clientId),
    epoch(head.madeEpoch),
    head.expiryS,
  );
  applyHead(session, head);
  return session;
}

export function applyHead(session: StoredSession, head: SessionHead): void {
  session.epoch = epoch(head.epoch);
  session.user = head.user;
  session.sessionExpiryS = head.expiryS;
  session.connected = head.connected;
  session.expiresAtMs = head.expiresAtMs;
}

export function entryOf(session: StoredSession): SessionEntry {
  const whole = session.persistent;
  return {
    ...headOf(session),
    subscriptions: whole ? session.subscriptions.map(subscriptionRecord) : [],
    outbound: whole ? [...session.outbound] : [],
    inbound: [...session.inbound],
  };
}

export function sessionOfEntry(entry: SessionEntry): StoredSession {
  const session = sessionOf(entry);
  for (const record of entry.subscriptions) session.putSubscription(subscriptionOf(record));
  for (const state of entry.outbound) session.putOutbound(state);
  for (const packetId of entry.inbound) session.addInbound(packetId);
  return session;
}

export function subscriptionRecord(subscription: StoredSubscription): SubscriptionRecord {
  return {
    filter: subscription.filter,
    options: subscription.options,
    group: subscription.group,
    queue: subscription.queue,
    cursors: subscription.cursors.map((c) => [c.partition, c.start, c.position, c.done]),
    retainedAfter: subscription.retainedAfter,
  };
}

export function subscriptionOf(record: SubscriptionRecord): StoredSubscription {
  const { options } = record;
  return {
    filter: record.filter,
    options: { ...options, subscriptionIdentifier: options.subscriptionIdentifier },
    group: record.group === undefined ? undefined : groupId(record.group),
    queue: queueId(record.queue),
    cursors: record.cursors.map(([partition, start, position, done]) => {
      return new Cursor(partition, start, position, done);
    }),
    retainedAfter: record.retainedAfter,
    live: false,
  };
}

export function willRecord(
  number: number,
  session: number,
  stored: StoredWill,
  dueAtMs: number,
  graced: boolean,
): WillRecord {
  return {
    number,
    session,
    clientId: stored.clientId,
    message: encodeMessage(stored.will.message).toString('base64'),
    delayS: stored.will.delayS,
    messageExpiryS: stored.will.messageExpiryS,
    principal: stored.principal,
    dueAtMs,
    graced,
  };
}

export function willOf(record: WillRecord): StoredWill {
  return {
    clientId: clientId(record.clientId),
    will: {
      message: decodeMessage(Buffer.from(record.message, 'base64')),
      delayS: record.delayS,
      messageExpiryS: record.messageExpiryS,
    },
    principal: record.principal,
  };
}
