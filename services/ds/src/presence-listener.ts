import type { ClientId } from '@lmqtt/common/ids';
import type { LiveSession } from './sessions/live-session.ts';

/** The listener that is told of clients that come, go and subscribe. */
export interface PresenceListener {
  connected(session: LiveSession, eventInfo: string, more?: object): void;
  disconnected(session: LiveSession, reason: string): void;
  /** Connections of which nobody else tells the end. */
  lost(clientIds: Iterable<ClientId>, reason: string): void;
  subscribed(session: LiveSession, filters: readonly object[]): void;
  unsubscribed(session: LiveSession, filters: readonly string[]): void;
  expired(clientId: ClientId): void;
  /** Resolves when all that was told before is stored. */
  stored(): Promise<void>;
  /** The same, or when that takes long. */
  storedSoon(): Promise<void>;
}
