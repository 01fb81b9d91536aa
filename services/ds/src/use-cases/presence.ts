import type { Clock } from '@lmqtt/common/clock';
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import { idlePause } from '@lmqtt/common/pause';
import type { DelayedPut, DelayedStore } from '../delayed-store/delayed-store.ts';
import type { PresenceListener } from '../presence-listener.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { presenceTopic } from './presence-topic.ts';

/** The kinds of presence event, by the last level of the topic. */
type PresenceEvent =
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

/** Clients that were told as connected and not yet as gone; kept over the death of this ds. */
export interface SeenClients {
  readonly all: Iterable<ClientId>;
  came(id: ClientId): void;
  gone(id: ClientId): void;
}

interface PresenceOptions {
  readonly store: DelayedStore;
  readonly clock: Clock;
  readonly self: NodeId;
  /** Topic of a copy of each event; null: none. */
  readonly topic: string | null;
  /** Absent: others know who was connected. */
  readonly seen?: SeenClients;
  /** An event was given up, since too many wait. */
  lost(): void;
}

/** Somebody who waits until everything is stored that was told before. */
interface Asked {
  readonly told: number;
  readonly resolve: () => void;
}

const waitingMax = 100_000;
const retryMs = 200;
/** The end of a connection waits no longer for its event to be stored. */
const soonMs = 1000;
const atOnce = 256;

/**
 * Events of clients as messages, which are stored as messages that are due now: so they survive this
 * ds, and go out once and in the order in which they were stored.
 */
export class Presence implements PresenceListener {
  readonly #options: PresenceOptions;
  #waiting: DelayedPut[] = [];
  #isPutting = false;
  #asked: Asked[] = [];
  #told = 0;
  /** Connections by client: an end of an earlier one says nothing of a later one. */
  readonly #connections = new Map<ClientId, number>();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  connected(session: LiveSession, eventInfo: string, more: object = {}): void {
    const { stored, protocolVersion, keepAliveS, principal } = session;
    this.#came(session.clientId);
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
    this.#gone(session.clientId);
  }

  lost(clientIds: Iterable<ClientId>, reason: string): void {
    for (const clientId of clientIds) {
      this.#tell(clientId, 'disconnected', reason, { endedBy: 'server' });
      this.#gone(clientId);
    }
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
    return new Promise((resolve) => this.#asked.push({ told: this.#told, resolve }));
  }

  async storedSoon(): Promise<void> {
    await Promise.race([this.stored(), idlePause(soonMs)]);
  }

  #came(clientId: ClientId): void {
    const { seen } = this.#options;
    if (seen === undefined) return;
    seen.came(clientId);
    this.#connections.set(clientId, (this.#connections.get(clientId) ?? 0) + 1);
  }

  /** When that is stored; a client that has come back meanwhile stays. */
  #gone(clientId: ClientId): void {
    const { seen } = this.#options;
    if (seen === undefined) return;
    const connection = this.#connections.get(clientId);
    void this.stored().then(() => {
      if (this.#connections.get(clientId) !== connection) return;
      this.#connections.delete(clientId);
      seen.gone(clientId);
    });
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
      this.#told += 1;
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
      const stored = this.#told - this.#waiting.length;
      while (this.#asked.length > 0 && this.#asked[0]!.told <= stored)
        this.#asked.shift()!.resolve();
      if (this.#waiting.length > 0) this.#put();
      else this.#isPutting = false;
    });
  }
}

function connectionOf({ node, handle, peer }: LiveSession): object {
  const { address: ip, port } = peer;
  return { channelId: `${node.id}:${handle}`, ip, port };
}

/** The side that ended a connection. */
function endedBy(reason: string): 'client' | 'network' | 'server' {
  if (reason === 'client') return 'client';
  return reason === 'connection lost' ? 'network' : 'server';
}
