import type { GroupId } from '@lmqtt/common/ids';
import type { Groups } from './groups.ts';
import type { Queue } from '../routing/routes.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

/** A filter of one SUBSCRIBE. */
interface WantedGroup {
  /** undefined: the filter is not shared. */
  readonly name: string | undefined;
  readonly queue: Queue;
}

interface OpenGroup {
  readonly id: GroupId;
}

/**
 * The groups of the shared filters of one SUBSCRIBE, all at once, because in a cluster each of them
 * may have to find its owner. `opened` gets those that are to be unpinned, also where one fails; it
 * is complete when the promise resolves or rejects.
 */
export async function openGroups(
  groups: Pick<Groups, 'open'>,
  member: StoredSession,
  wanted: readonly WantedGroup[],
  opened: OpenGroup[],
): Promise<(OpenGroup | undefined)[]> {
  const results = await Promise.allSettled(
    wanted.map(async ({ name, queue }) => {
      if (name === undefined) return undefined;
      const group = await groups.open(name, queue, member);
      opened.push(group);
      return group;
    }),
  );
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
