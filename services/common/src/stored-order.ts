import type { Message } from './message.ts';

/**
 * Order of two messages of one topic: the placement decides, whatever the clocks of two brokers
 * say.
 */
export function isBefore(one: Message, other: Message): boolean {
  const placements = (one.orderKey?.placement ?? 0) - (other.orderKey?.placement ?? 0);
  if (placements !== 0 && (one.topic === other.topic || one.storedMs === other.storedMs))
    return placements < 0;
  return one.storedMs < other.storedMs;
}
