import type { NodeId } from '@lmqtt/common/ids';
import type { RedisConnection } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import type { Inbox } from '../../registry/inbox.ts';
import type { SessionsMax } from '../session-counts.ts';

export interface RedisSessionStoreOptions {
  readonly redis: RedisConnection;
  readonly keys: RedisKeys;
  readonly ds: NodeId;
  readonly inbox: Inbox;
  /** How long `subscribe`, `unsubscribe` and `remove` wait for Redis; a claim about twice that. */
  readonly waitMs?: number;
  /** Limits of stored sessions; default: no limit. */
  readonly sessionsMax?: SessionsMax;
  /**
   * Time for which a will belongs to the ds that took it, if that ds is not heard: longer than its
   * lease.
   */
  readonly takenMs?: number;
}
