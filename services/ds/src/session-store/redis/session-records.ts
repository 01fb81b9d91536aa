import type { ClientId } from '@lmqtt/common/ids';
import type { RedisConnection } from '../../redis/connection.ts';
import { willOf, type WillRecord } from '../session-record.ts';
import type { StoredSession, StoredWill } from '../stored-session.ts';
import { failureOf } from './attempts.ts';
import { list, sessionOverTurns, text } from './fields.ts';
import type { SessionKeys } from './keys.ts';

/** Sessions as they are in Redis, read for whoever asks; nothing of them is kept in memory. */
export class SessionRecords {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;

  constructor(redis: RedisConnection, keys: SessionKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  async session(clientId: ClientId): Promise<StoredSession | undefined> {
    try {
      const record = await this.#redis.command('HGETALL', this.#keys.session(clientId));
      return await sessionOverTurns(clientId, list(record));
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** The will with the number; 0: there is none. */
  async will(clientId: ClientId, number: number): Promise<StoredWill | undefined> {
    if (number === 0) return undefined;
    try {
      const record = await this.#redis.command('HGET', this.#keys.wills(clientId), `r${number}`);
      return record === null ? undefined : willOf(JSON.parse(text(record)) as WillRecord);
    } catch (error) {
      throw failureOf(error);
    }
  }
}
