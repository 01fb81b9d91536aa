import type { RetainedAnswer, RetainedRequest } from '@lmqtt/proto/link';
import { parseSharedFilter } from '@lmqtt/common/topic';
import type { RetainedStore } from './retained-store/retained-store.ts';
import type { SysTopics } from './sys-topics.ts';

/** Retained messages for a subscription, a page at a time; `$SYS` has its own. */
export async function readRetained(
  retained: RetainedStore,
  sys: SysTopics,
  request: RetainedRequest,
): Promise<RetainedAnswer> {
  const { filter, after, messagesMax, bytesMax, version } = request;
  if (version !== undefined) {
    const message = await retained.version(version.topic, version.orderKey);
    return { messages: message === undefined ? [] : [message], next: undefined };
  }
  if (parseSharedFilter(filter) !== undefined) return { messages: [], next: undefined };
  // They are few and made anew each time, so they are one page.
  if (filter.startsWith('$SYS/')) return { messages: sys.match(filter), next: undefined };
  return retained.match(filter, after, messagesMax, bytesMax);
}
