import { nextTurn } from '@lmqtt/common/pause';
import { isTime } from '@lmqtt/common/cursor';
import type { RetainedAnswer, RetainedRequest, SubscribeAnswer } from '@lmqtt/proto/link';
import { parseSharedFilter } from '@lmqtt/common/topic';
import type { LiveSession } from '../sessions/live-session.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { SessionStore } from '../session-store/session-store.ts';
import type { SysTopics } from './sys-topics.ts';

const bridgesMax = 1000;
/** Subscriptions whose topics are looked for in one turn: a filter may pass by thousands. */
const looksAtOnce = 10;

interface RetainedRunPorts {
  readonly retained: RetainedStore;
  readonly sessionStore: SessionStore;
  readonly queueStore: QueueStore;
}

/**
 * Retained messages for a subscription, a page at a time; `$SYS` has its own. The queue's ends are
 * read behind the page, so that its reader can tell which messages may be older than the page.
 */
export async function readRetained(
  { retained, queueStore }: RetainedRunPorts,
  sys: SysTopics,
  session: LiveSession | undefined,
  request: RetainedRequest,
): Promise<RetainedAnswer> {
  const { filter, after, messagesMax, bytesMax, version } = request;
  const last = { next: undefined, ends: [] };
  if (version !== undefined) {
    const message = await retained.version(version.topic, version.orderKey);
    return { messages: message === undefined ? [] : [message], ...last };
  }
  if (parseSharedFilter(filter) !== undefined) return { messages: [], ...last };
  if (filter.startsWith('$SYS/')) {
    // Topics of $SYS are few and made anew each time, so they are one page. States of bridges are
    // stored.
    const bridges = await retained.match(filter, '', bridgesMax, bytesMax);
    return { messages: [...bridges.messages, ...sys.match(filter)], ...last };
  }
  const page = await retained.match(filter, after, messagesMax, bytesMax);
  const queue = session?.stored.subscription(filter)?.queue;
  if (queue === undefined || page.messages.length === 0) return { ...page, ends: [] };
  const ends = await queueStore.ends(queue, 'without first');
  // A page does not wait for a partition that cannot be reached.
  const known = ends.filter(({ end }) => !isTime(end));
  return { ...page, ends: known.map(({ partition, end }) => ({ partition, offset: end })) };
}

/**
 * A subscription for which nothing is retained owes nothing: said at once, so that a client that
 * goes away before it has asked gets no message that was retained meanwhile a second time.
 */
export async function endEmptyRuns(
  ports: RetainedRunPorts,
  session: LiveSession,
  answers: SubscribeAnswer[],
): Promise<SubscribeAnswer[]> {
  const settled: SubscribeAnswer[] = [];
  let looks = 0;
  for (const answer of answers) {
    looks += 1;
    if (looks % looksAtOnce === 0) await nextTurn();
    if (answer.kind === 'refused' || !answer.retained || (await isRetained(ports, answer))) {
      settled.push(answer);
      continue;
    }
    const { filter } = answer.subscription;
    ports.sessionStore.write(session.stored, session.epoch, {
      kind: 'retained-cursor',
      session: session.handle,
      filter,
      after: undefined,
    });
    const subscription = { ...answer.subscription, retainedAfter: undefined };
    settled.push({ ...answer, subscription, retained: false });
  }
  return settled;
}

async function isRetained(
  { retained }: RetainedRunPorts,
  { subscription }: Extract<SubscribeAnswer, { kind: 'granted' }>,
): Promise<boolean> {
  const { filter } = subscription;
  if (filter.startsWith('$SYS/')) return true;
  const page = await retained.match(filter, '', 1, 1);
  return page.messages.length > 0 || page.next !== undefined;
}
