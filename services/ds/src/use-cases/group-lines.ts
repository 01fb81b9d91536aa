// Shared groups as operators see them.
import { isTime } from '@lmqtt/common/cursor';
import type { ClientId } from '@lmqtt/common/ids';
import type { StoredGroup } from '../group-store/group-store.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

export interface GroupMemberLine {
  readonly clientId: ClientId;
  readonly connected: boolean;
  readonly inFlight: number;
}

/** A group as its owner has it. */
export interface OwnedGroupLine {
  readonly stored: StoredGroup;
  readonly members: readonly GroupMemberLine[];
}

export interface GroupLine {
  readonly group: string;
  readonly filter: string;
  readonly queue: number;
  readonly members: readonly GroupMemberLine[];
  /** Messages that members have and have not acknowledged. */
  readonly out: number;
  /** Messages up to the end that are not done with, those that are out among them. */
  readonly lag: number;
}

export async function groupLines(
  queueStore: QueueStore,
  owned: Iterable<OwnedGroupLine>,
): Promise<GroupLine[]> {
  return Promise.all([...owned].map((line) => groupLine(queueStore, line)));
}

async function groupLine(
  queueStore: QueueStore,
  { stored, members }: OwnedGroupLine,
): Promise<GroupLine> {
  const { name, queue, cursors } = stored;
  const slash = name.indexOf('/');
  let lag = 0;
  for (const { partition, first, end } of await queueStore.ends(queue)) {
    const cursor = cursors.find((one) => one.partition === partition);
    if (isTime(end) || cursor === undefined || isTime(cursor.position)) continue;
    lag += Math.max(0, end - Math.max(first, cursor.position) - cursor.done.length);
  }
  return {
    group: name.slice(0, slash),
    filter: name.slice(slash + 1),
    queue,
    members,
    out: members.reduce((sum, { inFlight }) => sum + inFlight, 0),
    lag,
  };
}
