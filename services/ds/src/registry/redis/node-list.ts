import type { RedisConnection } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { linesOf } from './node-lines.ts';
import type { NodeLine } from '../nodes.ts';
import { scripts } from './registry-scripts.ts';

/** The nodes of a cluster, for one that is none of them. */
export async function listNodes(
  redis: RedisConnection,
  keys: RedisKeys,
  leaseMs: number,
): Promise<NodeLine[]> {
  return linesOf(await redis.call(scripts.list, [keys.registry('')], []), leaseMs);
}
