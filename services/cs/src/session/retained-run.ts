import type { Message } from '@lmqtt/common/message';
import { lowerQos } from '@lmqtt/common/qos';
import type { Place } from '@lmqtt/proto/link';
import type { Subscription } from './cursor.ts';
import type { OutboundSession } from './outbound-session.ts';
import { pumpLater } from './retry.ts';
import { expired, hasRoom, putInFlight, send, sendQos0 } from './sending.ts';

const pageMessagesMax = 256;
const pageBytesMax = 1 << 20;

/**
 * Sends the retained messages that match one subscription, page after page, as the client's window
 * has room; the topic reached is session state, so that a reconnect goes on from there. They go
 * out ahead of the session's live messages.
 */
export class RetainedRun {
  readonly subscription: Subscription;
  private readonly session: OutboundSession;
  /** The page comes after this topic. */
  private after: string;
  private next: string | undefined = undefined;
  private page: Message[] | undefined = undefined;
  private index = 0;
  private last = false;
  private loading = false;

  constructor(session: OutboundSession, subscription: Subscription, after: string) {
    this.session = session;
    this.subscription = subscription;
    this.after = after;
  }

  /** The topic after which nothing was sent. */
  get sentAfter(): string {
    return this.page?.[this.index - 1]?.topic ?? this.after;
  }

  /** True when all is sent. */
  pump(): boolean {
    const { session } = this;
    for (;;) {
      if (this.loading) return false;
      const message = this.page?.[this.index];
      if (message === undefined) {
        if (this.page !== undefined) this.pageSent();
        if (this.last) return true;
        this.load();
        return false;
      }
      if (!session.outlet.writable || !this.send(message)) return false;
      this.index += 1;
    }
  }

  /** False where the window is full. */
  private send(message: Message): boolean {
    const { session, subscription } = this;
    const { options, identifiers } = subscription;
    const { orderKey } = message;
    if (options.noLocal && message.publisher === session.clientId) return true;
    const qos = lowerQos(message.qos, options.qos);
    // [MQTT-3.3.1-8]: RETAIN is set whatever Retain As Published says.
    if (qos === 0 || expired(session, message) || orderKey === undefined) {
      sendQos0(session, message, true, identifiers);
      return true;
    }
    if (!hasRoom(session)) return false;
    const place: Place = { kind: 'retained', topic: message.topic, orderKey };
    const inflight = putInFlight(session, qos, place, -1, undefined, subscription.filter);
    send(session, inflight, message, true, identifiers);
    return true;
  }

  private pageSent(): void {
    this.page = undefined;
    this.index = 0;
    this.after = this.next ?? this.after;
    const { session, subscription, after } = this;
    session.node.journal.write({
      kind: 'retained-cursor',
      session: session.handle,
      filter: subscription.filter,
      after: this.last ? undefined : after,
    });
  }

  private load(): void {
    const { session, subscription } = this;
    this.loading = true;
    session.node
      .readRetained({
        session: session.handle,
        filter: subscription.filter,
        after: this.after,
        messagesMax: pageMessagesMax,
        bytesMax: pageBytesMax,
      })
      .then((answer) => {
        this.page = answer.messages;
        this.index = 0;
        this.next = answer.next;
        this.last = answer.next === undefined;
        this.loading = false;
        if (!session.closed) session.node.schedule(session);
      })
      .catch(() => {
        this.loading = false;
        pumpLater(session);
      });
  }
}
