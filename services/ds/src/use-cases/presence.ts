import type { Clock } from '@lmqtt/common/clock';
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { DelayedPut, DelayedStore } from '../delayed-store/delayed-store.ts';
import type { PresenceListener } from '../presence-listener.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { presenceTopic } from './presence-topic.ts';

/** What is told of clients, by the last level of its topic. */
export type PresenceEvent =
  'connected' | 'disconnected' | 'takeover' | 'subscribed' | 'unsubscribed' | 'expired';

/** The names that Java nodes give, and others in their manner. */
const eventTypes: Readonly<Record<PresenceEvent, string>> = {
  connected: 'CLIENT_CONNECT',
  disconnected: 'CLIENT_DISCONNECT',
  takeover: 'CLIENT_TAKEOVER',
  subscribed: 'CLIENT_SUBSCRIBE',
  unsubscribed: 'CLIENT_UNSUBSCRIBE',
  expired: 'CLIENT_SESSION_EXPIRED',
};

export interface PresenceOptions {
  readonly store: DelayedStore;
  readonly clock: Clock;
  readonly self: NodeId;
  /** Topic of a copy of each event; null: none. */
  readonly topic: string | null;
  /** An event was given up, since too many wait. */
  lost(): void;
}

const waitingMax = 100_000;
const retryMs = 200;
const atOnce = 256;

/**
 * Events of clients as messages, which are stored as messages that are due now: so they survive this
 * ds, and go out once and in the order in which they were stored.
 */
export class Presence implements PresenceListener {
  readonly #options: PresenceOptions;
  #waiting: DelayedPut[] = [];
  #isPutting = false;
  #asked: (() => void)[] = [];

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  connected(session: LiveSession, eventInfo: string, more: object = {}): void {
    const { stored, protocolVersion, keepAliveS, principal } = session;
    this.#tell(session.clientId, 'connected', eventInfo, {
      ...connectionOf(session),
      ...{ protocolVersion, keepAliveS, user: principal.user ?? null },
      sessionExpiryS: stored.sessionExpiryS,
      ...more,
    });
  }

  disconnected(session: LiveSession, reason: string): void {
    const connection = connectionOf(session);
    if (reason === 'taken over') this.#tell(session.clientId, 'takeover', reason, connection);
    const more = { ...connection, endedBy: endedBy(reason) };
    this.#tell(session.clientId, 'disconnected', reason, more);
  }

  lost(clientIds: Iterable<ClientId>, reason: string): void {
    for (const clientId of clientIds)
      this.#tell(clientId, 'disconnected', reason, { endedBy: 'server' });
  }

  subscribed(session: LiveSession, filters: readonly object[]): void {
    this.#tell(session.clientId, 'subscribed', '', { ...connectionOf(session), filters });
  }

  unsubscribed(session: LiveSession, filters: readonly string[]): void {
    this.#tell(session.clientId, 'unsubscribed', '', { ...connectionOf(session), filters });
  }

  expired(clientId: ClientId): void {
    this.#tell(clientId, 'expired', '', { endedBy: 'server' });
  }

  stored(): Promise<void> {
    if (this.#waiting.length === 0 && !this.#isPutting) return Promise.resolve();
    return new Promise((resolve) => this.#asked.push(resolve));
  }

  #tell(clientId: ClientId, event: PresenceEvent, eventInfo: string, more: object): void {
    const { clock, topic, self } = this.#options;
    const eventTime = clock.nowMs();
    const payload = Buffer.from(
      JSON.stringify({
        ...{ clientId, channelId: '', eventType: eventTypes[event], eventTime },
        ...{ host: self, ip: '', port: 0, packetId: 0, eventInfo },
        ...more,
      }),
    );
    const own = presenceTopic(clientId, event);
    for (const each of topic === null ? [own] : [own, topic]) {
      if (this.#waiting.length >= waitingMax) {
        this.#options.lost();
        continue;
      }
      const message: Message = messageOf({ topic: each, qos: 1, retain: false, payload });
      const due = { dueAtMs: eventTime, afterMs: 0 };
      this.#waiting.push({ message, ...due, inbound: undefined, reasonCode: 0 });
    }
    if (!this.#isPutting) {
      this.#isPutting = true;
      queueMicrotask(() => this.#put());
    }
  }

  /** One batch after the other, so that what failed is before what came later. */
  #put(): void {
    const batch = this.#waiting.splice(0, atOnce);
    this.#options.store.put(batch, () => {
      const failed = batch.filter(({ reasonCode }) => reasonCode !== 0);
      for (const put of failed) put.limit = undefined;
      this.#waiting.unshift(...failed);
      if (failed.length > 0) {
        setTimeout(() => this.#put(), retryMs).unref();
        return;
      }
      if (this.#waiting.length > 0) {
        this.#put();
        return;
      }
      this.#isPutting = false;
      for (const resolve of this.#asked.splice(0)) resolve();
    });
  }
}

function connectionOf({ node, handle, peer }: LiveSession): object {
  const { address: ip, port } = peer;
  return { channelId: `${node.id}:${handle}`, ip, port };
}

/** Who ended a connection. */
function endedBy(reason: string): 'client' | 'network' | 'server' {
  if (reason === 'client') return 'client';
  return reason === 'connection lost' ? 'network' : 'server';
}
