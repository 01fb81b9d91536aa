import { Cursor, isTime, positionSince } from '@lmqtt/common/cursor';
import type { QueueId } from '@lmqtt/common/ids';
import {
  parseReplayFilter,
  replayQueueName,
  replayStart,
  type ReplayStart,
} from '@lmqtt/common/replay-filter';
import type { PartitionEnd, QueueStore } from '../queue-store/queue-store.ts';
import type { LiveSession } from '../sessions/live-session.ts';

/** The replay that a filter asks for; undefined: none. `malformed`: it names no place. */
export function replayOf(
  filter: string,
  nowMs: number,
): { readonly filter: string; readonly start: ReplayStart } | 'malformed' | undefined {
  const replay = parseReplayFilter(filter);
  if (replay === undefined) return undefined;
  const start = replayStart(replay.from, nowMs);
  return start === undefined ? 'malformed' : { filter: replay.filter, start };
}

/**
 * Whether the session has another subscription that reads the queue of all topics: positions are
 * kept by queue, so there may be one.
 */
export function readsReplayQueue(
  { stored }: LiveSession,
  filter: string,
  replayQueue: QueueId | undefined,
): boolean {
  return stored.subscriptions.some(
    (one) => one.queue === replayQueue && one.group === undefined && one.filter !== filter,
  );
}

/** Where a replay begins, and whether that is the oldest message that is kept. */
export interface ReplayCursors {
  readonly cursors: Cursor[];
  readonly isOldest: boolean;
}

export async function replayCursors(
  store: QueueStore,
  queue: QueueId,
  ends: readonly PartitionEnd[],
  start: ReplayStart,
): Promise<ReplayCursors> {
  let isOldest = false;
  const cursors = await Promise.all(
    ends.map(async ({ partition, first, end }) => {
      if (isTime(end)) {
        const sinceMs = start.kind === 'time' ? start.timeMs : 1;
        return Cursor.at(partition, positionSince(sinceMs));
      }
      if (start.kind === 'earliest') return Cursor.at(partition, first);
      if (start.kind === 'offset') {
        isOldest ||= start.offset < first;
        return Cursor.at(partition, Math.min(end, Math.max(first, start.offset)));
      }
      if (store.since === undefined) return Cursor.at(partition, positionSince(start.timeMs));
      const { offset, isOlder } = await store.since(queue, partition, start.timeMs);
      isOldest ||= !isOlder;
      return Cursor.at(partition, offset);
    }),
  );
  return { cursors, isOldest };
}

/** The queue that a replay of the filter reads. */
export function replayQueueOf(filter: string): typeof replayQueueName | undefined {
  // Topics that begin with `$` are not in it.
  return filter.startsWith('$') ? undefined : replayQueueName;
}
