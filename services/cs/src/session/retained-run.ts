import type { Message } from '@lmqtt/common/message';
import { lowerQos } from '@lmqtt/common/qos';
import type { PartitionOffset, Place } from '@lmqtt/proto/session-state';
import type { Subscription } from './cursor.ts';
import type { LiveTopics } from './live-topics.ts';
import type { OutboundSession } from './outbound-session.ts';
import { pumpLater } from './retry.ts';
import { expired, hasRoom, putInFlight, send, sendQos0 } from './sending.ts';

const pageMessagesMax = 256;
const pageBytesMax = 1 << 20;
const nowhere: readonly PartitionOffset[] = [];

/**
 * Sends the retained messages that match one subscription, page after page, as the client's window
 * has room; the topic reached is session state, so that a reconnect goes on from there.
 *
 * For each topic the client sees no older version after a newer one [MQTT-4.6.0-6]:
 * - A version that is still to come as a live message is newer than others that come before it. So
 *   a page waits until the subscription has sent what its queue held when the page was read.
 * - A version that is not newer than a live message that went out is left out.
 */
export class RetainedRun {
  readonly subscription: Subscription;
  readonly #session: OutboundSession;
  /** The page comes after this topic. */
  #after: string;
  #next: string | undefined = undefined;
  #page: Message[] | undefined = undefined;
  #index = 0;
  #last = false;
  #loading = false;
  /** Ends of the queue when the page was read; empty once the cursors have reached them. */
  #ends: readonly PartitionOffset[] = nowhere;
  /** The page must not be sent, or the store has newer versions of the rest of it. */
  #stale = false;
  /** The page was read because the one before was stale, and nothing of it has been sent. */
  #isFresh = false;
  readonly #liveTopics: LiveTopics;
  readonly #number: number;

  constructor(
    session: OutboundSession,
    subscription: Subscription,
    after: string,
    liveTopics: LiveTopics,
  ) {
    this.#session = session;
    this.subscription = subscription;
    this.#after = after;
    this.#liveTopics = liveTopics;
    this.#number = liveTopics.beginRun();
  }

  /** The topic after which nothing was sent. */
  get sentAfter(): string {
    return this.#page?.[this.#index - 1]?.topic ?? this.#after;
  }

  /** True when all is sent. */
  pump(): boolean {
    const session = this.#session;
    for (;;) {
      if (this.#loading || (this.#stale && !session.outlet.writable)) return false;
      if (this.#stale) this.#letGo();
      const message = this.#page?.[this.#index];
      if (message === undefined) {
        if (this.#page !== undefined) this.#pageSent();
        if (this.#last) return true;
        this.#load();
        return false;
      }
      if (!this.#reachedEnds() || !session.outlet.writable || !this.#send(message)) return false;
      this.#index += 1;
      this.#isFresh = false;
    }
  }

  /** Whether the run waited for live messages, and need not wait any more. */
  get released(): boolean {
    return this.#ends.length > 0 && this.#reachedEnds();
  }

  /**
   * Called when live messages since the page was read have been forgotten: the page is read again.
   */
  readAgain(): void {
    this.#stale = true;
  }

  /** The store has newer versions; a page that was just read for that is sent all the same. */
  outdated(): void {
    if (!this.#isFresh) this.#stale = true;
  }

  #letGo(): void {
    this.#after = this.sentAfter;
    this.#page = undefined;
    this.#index = 0;
    this.#ends = nowhere;
    this.#last = false;
    this.#stale = false;
    this.#isFresh = true;
  }

  #reachedEnds(): boolean {
    const { cursors } = this.subscription;
    for (const { partition, offset } of this.#ends) {
      const cursor = cursors.find(({ feed }) => feed.partition === partition);
      if (cursor !== undefined && !cursor.closed && cursor.next < offset) return false;
    }
    this.#ends = nowhere;
    return true;
  }

  /** False where the window is full. */
  #send(message: Message): boolean {
    const { subscription } = this;
    const session = this.#session;
    const { options, identifiers } = subscription;
    const { orderKey } = message;
    if (subscription.rights?.allows(message.topic) === false) return true;
    if (options.noLocal && message.publisher === session.clientId) return true;
    if (this.#liveTopics.isOutrun(message, this.#number)) return true;
    const qos = lowerQos(message.qos, options.qos);
    // [MQTT-3.3.1-8]: RETAIN is set whatever Retain As Published says.
    if (qos === 0 || expired(session, message) || orderKey === undefined) {
      sendQos0(session, message, true, identifiers);
      this.#liveTopics.retainedSent(message.topic);
      return true;
    }
    if (!hasRoom(session)) return false;
    this.#liveTopics.retainedSent(message.topic);
    const place: Place = { kind: 'retained', topic: message.topic, orderKey };
    const inflight = putInFlight(session, qos, place, -1, undefined, subscription.filter);
    send(session, inflight, message, true, identifiers);
    return true;
  }

  #pageSent(): void {
    this.#page = undefined;
    this.#index = 0;
    this.#after = this.#next ?? this.#after;
    const { subscription } = this;
    const session = this.#session;
    const after = this.#after;
    session.node.journal.write({
      kind: 'retained-cursor',
      session: session.handle,
      filter: subscription.filter,
      after: this.#last ? undefined : after,
    });
  }

  #load(): void {
    const { subscription } = this;
    const session = this.#session;
    this.#loading = true;
    session.node
      .readRetained({
        session: session.handle,
        filter: subscription.filter,
        after: this.#after,
        messagesMax: pageMessagesMax,
        bytesMax: pageBytesMax,
      })
      .then((answer) => {
        this.#page = answer.messages;
        this.#index = 0;
        this.#next = answer.next;
        this.#last = answer.next === undefined;
        this.#ends = answer.ends;
        this.#loading = false;
        this.#catchUp();
        if (!session.closed) session.node.schedule(session);
      })
      .catch(() => {
        this.#loading = false;
        pumpLater(session);
      });
  }

  /** The cursors look for what the page waits for, also where a push of it was lost. */
  #catchUp(): void {
    const { cursors } = this.subscription;
    for (const { partition, offset } of this.#ends)
      cursors.find(({ feed }) => feed.partition === partition)?.catchUp(offset);
  }
}
