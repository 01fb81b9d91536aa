import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { type RedisKeys, sessionTag } from '../../redis/keys.ts';

/**
 * The keys of sessions: those of a client are in the slot of its session, the rest in the
 * registry's.
 */
export class SessionKeys {
  readonly #keys: RedisKeys;

  constructor(keys: RedisKeys) {
    this.#keys = keys;
  }

  session(clientId: ClientId): string {
    return this.#keys.session(clientId, `session:${clientId}`);
  }

  /** Wills survive the session that left them. */
  wills(clientId: ClientId): string {
    return this.#keys.session(clientId, `wills:${clientId}`);
  }

  /** The last epoch that was given in this slot: no client gets one twice, nor a lesser. */
  lastEpoch(clientId: ClientId): string {
    return this.#keys.slot(sessionTag(clientId), 'epoch');
  }

  /** For a while: the client's node has ended, and a claim or a session by it may be on its way. */
  nodeEnd(clientId: ClientId): string {
    return this.#keys.session(clientId, `node-end:${clientId}`);
  }

  get due(): string {
    return this.#keys.registry('due');
  }

  /** Users of stored sessions by client, for the limits on them. */
  get storedSessions(): string {
    return this.#keys.registry('stored-sessions');
  }

  /** Counts of stored sessions by user. */
  get storedByUser(): string {
    return this.#keys.registry('stored-sessions-of');
  }

  /** Clients that may be connected at a cs. */
  sessionsOf(cs: NodeId): string {
    return this.#keys.registry(`sessions:${cs}`);
  }
}
