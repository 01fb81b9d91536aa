import { type Cursor, cursorOf, isTime, offsetFound } from '@lmqtt/common/cursor';
import { type QueueId, sessionHandle } from '@lmqtt/common/ids';
import { portionMax } from '@lmqtt/common/in-portions';
import { nextTurn } from '@lmqtt/common/pause';
import type { LimitName } from '@lmqtt/common/settings/row';
import type { DsEvents } from '../events.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

export interface QueueLimitsPorts {
  readonly queueStore: Pick<QueueStore, 'ends' | 'read'>;
  readonly sessionStore: Pick<SessionStore, 'write' | 'commit'>;
  readonly events: Pick<DsEvents, 'messagesLost' | 'queueCut'>;
  readonly messagesMax: number;
  readonly bytesMax: number;
  /** Somebody's position in the queue has moved. */
  moved(queue: QueueId): void;
  /** A replay reads it: what waits there is mostly for others. */
  isOfAllTopics(queue: QueueId): boolean;
  /** The largest message there can be. */
  readonly messageBytesMax: number;
}

interface Backlog {
  readonly subscription: StoredSubscription;
  readonly cursor: Cursor;
  /** Offset of the cursor. */
  readonly position: number;
  readonly end: number;
  messages: number;
}

/** A write that no connection makes. */
const noHandle = sessionHandle(0);
const sampleMessages = 32;
const sampleBytes = 1024 * 1024;

/**
 * How many messages wait for a session: not counting those in flight, nor what shared groups would
 * give it, nor what is where it cannot be reached now.
 */
export async function queuedOf(
  queueStore: QueueLimitsPorts['queueStore'],
  session: StoredSession,
): Promise<number> {
  let messages = 0;
  for (const backlog of await backlogs(queueStore, session)) messages += backlog.messages;
  for (const { place } of session.outbound) if (place.kind === 'queue') messages -= 1;
  return Math.max(0, messages);
}

/**
 * MAX_QUEUED_MESSAGES and MAX_QUEUED_BYTES of an absent session: the oldest are dropped by moving
 * the position over them; so is what retention has taken. Bytes are judged by a sample. Nothing
 * is dropped where the session is no longer to be judged when its queues have been asked.
 */
export async function cutBacklog(
  ports: QueueLimitsPorts,
  session: StoredSession,
  isJudged: () => boolean = () => true,
): Promise<void> {
  const all = await backlogs(ports.queueStore, session);
  if (!isJudged()) return;
  const waiting = all.filter(({ subscription }) => !ports.isOfAllTopics(subscription.queue));
  for (const backlog of waiting) {
    const { cursor, position, subscription } = backlog;
    if (cursor.position === position) continue;
    if (!isTime(cursor.position)) {
      const messages = position - cursor.position;
      session.lost += messages;
      ports.events.messagesLost(session.clientId, subscription.filter, messages);
    }
    move(ports, session, backlog, position);
  }
  let messages = 0;
  for (const backlog of waiting) messages += backlog.messages;
  if (messages > ports.messagesMax) {
    cut(ports, session, waiting, messages - ports.messagesMax, 'MAX_QUEUED_MESSAGES');
    messages = ports.messagesMax;
  }
  if (messages * ports.messageBytesMax > ports.bytesMax) {
    const bytesEach = await meanBytes(ports, waiting);
    if (!isJudged()) return;
    const excess = Math.ceil((messages * bytesEach - ports.bytesMax) / Math.max(bytesEach, 1));
    if (excess > 0) cut(ports, session, waiting, excess, 'MAX_QUEUED_BYTES');
  }
  ports.sessionStore.commit();
}

const sessionsAtOnce = 200;

/** The limits of all absent sessions, a few at a time, round and round. */
export class AbsentLimits {
  readonly #ports: QueueLimitsPorts;
  readonly #sessions: () => Iterable<StoredSession>;
  #turn: Iterator<StoredSession> | undefined;

  constructor(ports: QueueLimitsPorts, sessions: () => Iterable<StoredSession>) {
    this.#ports = ports;
    this.#sessions = sessions;
  }

  async run(): Promise<void> {
    this.#turn ??= this.#sessions()[Symbol.iterator]();
    let subscriptions = 0;
    for (let looks = 0; looks < sessionsAtOnce; looks += 1) {
      const next = this.#turn.next();
      if (next.done === true) {
        this.#turn = undefined;
        return;
      }
      const session = next.value;
      if (session.connected) continue;
      await cutBacklog(this.#ports, session, () => !session.connected && !session.removed);
      subscriptions += session.subscriptions.length;
      if (subscriptions < portionMax) continue;
      subscriptions = 0;
      await nextTurn();
    }
  }
}

/** From the longest backlog first. */
function cut(
  ports: QueueLimitsPorts,
  session: StoredSession,
  waiting: Backlog[],
  excess: number,
  limit: LimitName,
): void {
  let left = excess;
  for (const backlog of waiting.sort((a, b) => b.messages - a.messages)) {
    if (left <= 0) return;
    const messages = Math.min(left, backlog.messages);
    const { subscription } = backlog;
    move(ports, session, backlog, Math.min(backlog.end, backlog.position + messages));
    backlog.messages -= messages;
    left -= messages;
    session.lost += messages;
    ports.events.queueCut(session.clientId, subscription.filter, messages, limit);
  }
}

function move(
  ports: QueueLimitsPorts,
  session: StoredSession,
  { subscription, cursor }: Backlog,
  position: number,
): void {
  ports.moved(subscription.queue);
  ports.sessionStore.write(session, session.epoch, {
    kind: 'position',
    session: noHandle,
    queue: subscription.queue,
    partition: cursor.partition,
    position,
  });
}

async function meanBytes(ports: QueueLimitsPorts, waiting: Backlog[]): Promise<number> {
  let messages = 0;
  let bytes = 0;
  for (const { subscription, cursor, position } of waiting.slice(0, 4)) {
    const answer = await ports.queueStore.read({
      queue: subscription.queue,
      partition: cursor.partition,
      from: position,
      messagesMax: sampleMessages,
      bytesMax: sampleBytes,
    });
    for (const message of answer.messages) {
      messages += 1;
      bytes += message.heldBytes;
    }
  }
  return messages === 0 ? 0 : bytes / messages;
}

/** Queues in which messages wait, or waited until they were removed: the position is past them. */
async function backlogs(
  queueStore: QueueLimitsPorts['queueStore'],
  session: StoredSession,
): Promise<Backlog[]> {
  const found: Backlog[] = [];
  const subscriptions = session.subscriptions.filter((one) => one.group === undefined);
  for (let at = 0; at < subscriptions.length; at += portionMax) {
    if (at > 0) await nextTurn();
    await addBacklogs(queueStore, subscriptions.slice(at, at + portionMax), found);
  }
  return found;
}

async function addBacklogs(
  queueStore: QueueLimitsPorts['queueStore'],
  subscriptions: readonly StoredSubscription[],
  found: Backlog[],
): Promise<void> {
  // Together, since the store may wait for the disk before it says where a queue ends.
  const ends = await Promise.all(subscriptions.map((one) => queueStore.ends(one.queue)));
  for (const [index, subscription] of subscriptions.entries()) {
    for (const { partition, first, end, owedFrom = 0 } of ends[index]!) {
      const cursor = cursorOf(subscription.cursors, partition, owedFrom);
      if (isTime(end)) continue;
      // Most positions are known: only the others wait for the store.
      const from = isTime(cursor.position)
        ? await startOf(queueStore, subscription.queue, cursor)
        : cursor.position;
      if (from === undefined) continue;
      const position = Math.max(first, from);
      const messages = Math.max(0, end - position - cursor.done.length);
      if (messages > 0 || position > cursor.position)
        found.push({ subscription, cursor, position, end, messages });
    }
  }
}

/** The cursor's position, which is a time, as an offset; undefined: the store does not say. */
async function startOf(
  queueStore: QueueLimitsPorts['queueStore'],
  queue: QueueId,
  { partition, position }: Cursor,
): Promise<number | undefined> {
  const request = { queue, partition, from: position, messagesMax: 1, bytesMax: sampleBytes };
  try {
    return offsetFound(await queueStore.read(request), queue, partition);
  } catch {
    return undefined;
  }
}
