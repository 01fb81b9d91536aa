import type { Message, OrderKey } from '@lmqtt/common/message';

/**
 * The retained message of each topic.
 *
 * Promises
 * - put: of two puts for a topic the one with the greater order key counts, whichever came first.
 *   An empty payload deletes: the topic has none from then on. `done` comes when the put is durable
 *   (0) or has failed (a reason code); without it the put is lazy. What has an order key is seen
 *   by `match` only when it is durable; what has none gets one that is greater than all before,
 *   is set in the message, and is seen at once.
 * - match: the messages of all topics that a filter matches, in the order of their topics, a page
 *   at a time; none that has expired. A page may be empty and not the last. What is put or deleted
 *   between two pages is seen or not; no other topic is missed or comes twice.
 * - version: a version can be read while it is the topic's, while it is pinned, and for a minute
 *   after it was replaced.
 * - What is given is the caller's own, with RETAIN set and its order key.
 */
export interface RetainedStore {
  /** Whether there is room for it. */
  admits(message: Message): boolean;
  put(message: Message, orderKey: OrderKey | undefined, done?: (reasonCode: number) => void): void;
  match(
    filter: string,
    after: string,
    messagesMax: number,
    bytesMax: number,
  ): Promise<RetainedPage>;
  version(topic: string, orderKey: OrderKey): Promise<Message | undefined>;
  pin(topic: string, orderKey: OrderKey): void;
  unpin(topic: string, orderKey: OrderKey): void;
  readonly count: number;
  readonly bytes: number;
}

export interface RetainedPage {
  readonly messages: Message[];
  /** Pass as `after`; undefined: that was all. */
  readonly next: string | undefined;
}
