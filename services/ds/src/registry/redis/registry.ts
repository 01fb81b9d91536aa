import type { Clock } from '@lmqtt/common/clock';
import type { RedisConnection } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import type { ClusterRegistry } from '../cluster-registry.ts';
import { RedisDetours } from './detours.ts';
import { Membership } from './membership.ts';
import { RedisInbox } from './inbox.ts';
import { RedisNodes } from './nodes.ts';
import { RedisOwnership } from './ownership.ts';
import { RedisRecords } from './records.ts';
import { RedisRouteLog } from './route-log.ts';
import type { RegistryEvents } from './registry-events.ts';

interface RedisRegistryOptions {
  /** Stays the caller's. */
  readonly redis: RedisConnection;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly events: RegistryEvents;
  /** DETOURED_TOPICS_MAX. */
  readonly detoursMax: number;
}

interface RedisRegistry extends ClusterRegistry {
  readonly nodes: RedisNodes;
}

/**
 * The registry of one ds, with a connection of its own for pub/sub. Rejects where Redis is away.
 */
export async function openRedisRegistry(options: RedisRegistryOptions): Promise<RedisRegistry> {
  const { redis, keys, clock, leaseMs, events, detoursMax } = options;
  const subscriber = await redis.openSubscriber();
  const member = new Membership(redis, keys.registry(''), clock, leaseMs, events);
  const inbox = new RedisInbox(member, subscriber);
  const nodes = new RedisNodes(member, subscriber, () => inbox.start());
  const others = () => [...nodes.aliveDs].filter((id) => id !== member.id);
  const routeLog = new RedisRouteLog(member, subscriber, others);
  const records = new RedisRecords(member);
  const detours = new RedisDetours(member, detoursMax);
  nodes.addRestorer(records);
  nodes.addRestorer(detours);
  nodes.addRestorer(routeLog);
  return {
    nodes,
    routeLog,
    ownership: new RedisOwnership(member),
    inbox,
    records,
    detours,
    close: () => {
      nodes.close();
      routeLog.close();
      subscriber.close();
    },
  };
}
