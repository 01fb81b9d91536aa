// One reading of an ordinary queue for any number of keys.
import type { StoredReader } from '../../rocketmq/message/stored-reader.ts';
import type { PullAnswer } from '../../rocketmq/remoting/requests/pull-message.ts';
import type { QueueAt } from './ordinary-queue.ts';
import { readGroup } from './read-group.ts';

const pullMessages = 32;

/** A key in an ordinary queue: no message below `next` has it, as far as it was read. */
export interface KeyAt {
  readonly key: string;
  next: number;
}

/**
 * Reads from the lowest `next` of the keys up to `end`, which all of them have afterwards. `found`
 * is called with the first offset of each key that is there. Rejects where the broker does not give
 * what it says that it has.
 */
export async function passOver(
  queue: QueueAt,
  keys: readonly KeyAt[],
  end: number,
  reader: StoredReader,
  found: (key: KeyAt, offset: number) => void,
): Promise<void> {
  const open = new Map(keys.map((each) => [each.key, each]));
  let next = Math.min(...keys.map((each) => each.next));
  while (next < end && open.size > 0) {
    const answer = await pull(queue, next);
    if (answer.kind === 'failed') throw new Error(answer.reason);
    if (answer.kind === 'found') {
      for (const { key, queueOffset } of reader.read(answer.body, noSource)) {
        const sought = key === undefined ? undefined : open.get(key);
        if (sought === undefined || queueOffset < sought.next) continue;
        open.delete(sought.key);
        found(sought, queueOffset);
      }
    }
    if (answer.next <= next) throw new Error(`nothing at ${next}, though the queue ends at ${end}`);
    ({ next } = answer);
  }
  for (const each of open.values()) each.next = Math.max(each.next, end);
}

/** All keys from `from` to `end`, each with its first offset there. Rejects like `passOver`. */
export async function keysBetween(
  queue: QueueAt,
  from: number,
  end: number,
  reader: StoredReader,
): Promise<Map<string, number>> {
  const keys = new Map<string, number>();
  for (let next = from; next < end;) {
    const answer = await pull(queue, next);
    if (answer.kind === 'failed') throw new Error(answer.reason);
    if (answer.kind === 'found') {
      for (const { key, queueOffset } of reader.read(answer.body, noSource)) {
        if (key !== undefined && queueOffset < end && !keys.has(key)) keys.set(key, queueOffset);
      }
    }
    if (answer.next <= next) throw new Error(`nothing at ${next}, though the queue ends at ${end}`);
    ({ next } = answer);
  }
  return keys;
}

/** For a reader of which only keys and offsets are wanted. */
const noSource = { partition: 0, queuesOf: () => [], placementOf: () => 0 };

function pull(queue: QueueAt, offset: number): Promise<PullAnswer> {
  return new Promise((resolve) => {
    const { connection } = queue.broker;
    if (connection === undefined) {
      resolve({ kind: 'failed', code: undefined, reason: 'not there' });
      return;
    }
    const { topic, queueId } = queue;
    connection.pull(
      {
        ...{ group: readGroup, topic, queueId, offset, messagesMax: pullMessages },
        ...{ suspendMs: 0, subscription: '*' },
      },
      resolve,
    );
  });
}
