// Queues as operators see them.
import { isTime } from '@lmqtt/common/cursor';
import { queueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { isP2pFilter } from '@lmqtt/common/p2p';
import { nextTurn } from '@lmqtt/common/pause';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Queue, Routes } from '../routing/routes.ts';

export interface QueueLine {
  readonly id: number;
  /** The topic filter that it stands for; of messages to one client, `$p2p/` and its identifier. */
  readonly filter: string;
  /** Name of the queue in RocketMQ; '': it has none. */
  readonly place: string;
  /** Shared groups that read it. */
  readonly groups: number;
}

interface PartitionLine {
  readonly partition: number;
  /** The lowest offset that can be read; null: it cannot be reached now. */
  readonly first: number | null;
  readonly end: number | null;
  /** Time at which the oldest message was stored, ms since 1970; null: none, or not known. */
  readonly oldestMs: number | null;
}

export interface QueueDetail extends QueueLine {
  readonly partitions: readonly PartitionLine[];
}

export interface QueuesPorts {
  readonly routes: Routes;
  readonly queueStore: QueueStore;
}

const passedAtOnce = 2000;
const peekBytesMax = 4 * 1024 * 1024;

/** Queues in the order of their filters, behind the one given. */
export async function listQueues(
  { routes }: QueuesPorts,
  after: string,
  queuesMax: number,
  filter: string | undefined,
): Promise<QueueLine[]> {
  const byName = (one: Queue, other: Queue): number => (one.name < other.name ? -1 : 1);
  let page: Queue[] = [];
  let passed = 0;
  for (const queue of routes.queues) {
    passed += 1;
    if (passed % passedAtOnce === 0) await nextTurn();
    if (
      queue.name <= after ||
      (filter === undefined ? isP2pFilter(queue.name) : queue.name !== filter)
    )
      continue;
    page.push(queue);
    if (page.length >= queuesMax * 2 + 1024) page = page.sort(byName).slice(0, queuesMax);
  }
  return page.sort(byName).slice(0, queuesMax).map(lineOf);
}

function lineOf({ id, name, place, groups }: Queue): QueueLine {
  return { id, filter: name, place, groups: groups?.length ?? 0 };
}

/** null: there is no such queue. */
export async function queueDetail(
  { routes, queueStore }: QueuesPorts,
  id: number,
): Promise<QueueDetail | null> {
  const queue = routes.queue(queueId(id));
  if (queue === undefined) return null;
  const ends = await queueStore.ends(queue.id);
  const partitions = await Promise.all(
    ends.map(async ({ partition, first, end }): Promise<PartitionLine> => {
      if (isTime(end)) return { partition, first: null, end: null, oldestMs: null };
      const request = { queue: queue.id, partition, from: first, messagesMax: 1, bytesMax: 1 };
      const oldest = first < end ? (await queueStore.read(request)).messages[0] : undefined;
      const storedMs = oldest?.storedMs ?? 0;
      return { partition, first, end, oldestMs: storedMs === 0 ? null : storedMs };
    }),
  );
  return { ...lineOf(queue), partitions };
}

export interface Peek {
  readonly queue: number;
  readonly partition: number;
  readonly from: number;
  readonly messagesMax: number;
}

export interface Peeked {
  readonly messages: readonly { readonly offset: number; readonly message: Message }[];
  readonly next: number;
}

/** Messages as they are stored; nobody's position moves. null: there is no such queue. */
export async function peekQueue(
  { routes, queueStore }: QueuesPorts,
  { queue: id, partition, from, messagesMax }: Peek,
): Promise<Peeked | null> {
  const queue = routes.queue(queueId(id));
  if (queue === undefined) return null;
  const request = { queue: queue.id, partition, from, messagesMax, bytesMax: peekBytesMax };
  const { messages, next } = await queueStore.read(request);
  const offsetOf = ({ entries }: Message): number =>
    entries.find((entry) => entry.queue === queue.id && entry.partition === partition)?.offset ??
    -1;
  return { messages: messages.map((message) => ({ offset: offsetOf(message), message })), next };
}
