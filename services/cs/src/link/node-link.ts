import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Link,
  Publish,
  ReadAnswer,
  ReadRequest,
  ReauthenticateAnswer,
  RetainedAnswer,
  RetainedRequest,
  SessionWrite,
  SubscribeAnswer,
  SubscribeEntry,
} from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import { calls } from '@lmqtt/proto/calls';
import type { CallType } from '@lmqtt/proto/calls';
import { LinkLost } from '@lmqtt/proto/link-lost';
import { writeCredit, writePublishes, writeRead, writeWrites } from '@lmqtt/proto/wire/upstream';
import type { Attachment } from './attachment.ts';
import type { LinkEvents } from './link-events.ts';
import type { Pending } from './pending.ts';
import type { CallKind } from './pending-calls.ts';
import type { CallSubject, PublishOrder } from './publish-order.ts';

/** End of a claim that nobody waits for any more: its client has never been accepted. */
const notAccepted: ConnectionEnd = {
  publishWill: false,
  sessionExpiryS: undefined,
  reason: 'connection lost',
};

/**
 * The calls of a node. What ds is presented already is written to the conversation, which carries
 * it over broken streams; the rest waits in the tables. Either way the tables have all that is not
 * answered.
 */
export class NodeLink implements Link {
  readonly #attachment: Attachment;
  readonly #pending: Pending;
  readonly #order: PublishOrder;
  readonly #events: LinkEvents;
  readonly #bufferBytesMax: number;
  readonly #onPublished: (batch: Publish[]) => void;
  #closed = false;

  constructor(
    attachment: Attachment,
    pending: Pending,
    order: PublishOrder,
    events: LinkEvents,
    bufferBytesMax: number,
    onPublished: (batch: Publish[]) => void,
  ) {
    this.#attachment = attachment;
    this.#pending = pending;
    this.#order = order;
    this.#events = events;
    this.#bufferBytesMax = bufferBytesMax;
    this.#onPublished = onPublished;
  }

  get leaseEndsMs(): number {
    return this.#attachment.lease.endsMs;
  }

  get up(): boolean {
    return this.#attachment.up;
  }

  get roomBytes(): number {
    return this.#attachment.exchange.roomBytes;
  }

  get pushesWait(): boolean {
    return this.#attachment.pushesWait;
  }

  // Calls

  connect(request: ConnectRequest): Promise<ConnectAnswer> {
    const { session, clientId } = request;
    return this.#call('claim', session, calls.connect, request, about(session, clientId));
  }

  continueConnect(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
  ): Promise<ConnectAnswer> {
    const step = { session, authenticationData, start: false };
    return this.#call('claim', session, calls.continueConnect, step, about(session));
  }

  subscriptionsOf(session: SessionHandle, from: number): Promise<SubscriptionState[]> {
    return this.#call('claim', session, calls.subscriptionsOf, { session, from }, about(session));
  }

  reauthenticate(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
    start: boolean,
  ): Promise<ReauthenticateAnswer> {
    const step = { session, authenticationData, start };
    return this.#call('claim', undefined, calls.reauthenticate, step, about(session));
  }

  async disconnect(session: SessionHandle, end: ConnectionEnd, clientId?: ClientId): Promise<void> {
    const before = this.#pending.ticket();
    const subject = about(session, clientId);
    await this.#call('again', undefined, calls.disconnect, { session, end }, subject);
    this.#order.forget(session);
    // Publishes that ds has not answered by now were passed over.
    if (this.#pending.publishes.count === 0) return;
    const ended: Publish[] = [];
    this.#pending.publishes.fenced(new Set([session]), before, ended);
    if (ended.length > 0) this.#onPublished(ended);
  }

  subscribe(session: SessionHandle, subscriptions: SubscribeEntry[]): Promise<SubscribeAnswer[]> {
    const request = { session, subscriptions };
    return this.#call('again', undefined, calls.subscribe, request, about(session));
  }

  unsubscribe(session: SessionHandle, filters: string[]): Promise<number[]> {
    const request = { session, filters };
    return this.#call('again', undefined, calls.unsubscribe, request, about(session));
  }

  settle(session: SessionHandle): Promise<void> {
    return this.#call('again', undefined, calls.settle, session, about(session));
  }

  undelivered(session: SessionHandle, messages: readonly UndeliveredMessage[]): Promise<void> {
    const request = { session, messages };
    return this.#call('again', undefined, calls.undelivered, request, about(session));
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    return this.#call('again', undefined, calls.readRetained, request, nothing);
  }

  /** A planned stop, of the node or, where that goes on, of this link alone. */
  leave(goesOn: boolean): Promise<void> {
    return this.#call('again', undefined, calls.leave, { goesOn }, everything);
  }

  /** `claimed`: the session that a claim would bring about. */
  #call<Request, Answer>(
    kind: CallKind,
    claimed: SessionHandle | undefined,
    type: CallType<Request, Answer>,
    request: Request,
    subject: CallSubject,
  ): Promise<Answer> {
    const attachment = this.#attachment;
    const pending = this.#pending;
    const order = this.#order;
    if (this.#closed) return Promise.reject(new Error(closedReason));
    if (kind === 'claim' && attachment.lease.ended)
      return Promise.reject(new LinkLost(endedReason));
    const ticket = pending.ticket();
    const { method } = type;
    const body = type.request.encode(request);
    const call = { ...subject, ticket, id: pending.id(), method, body };
    const answer = pending.calls.add(call, kind, claimed, type);
    if (attachment.presented) order.call(call);
    return answer;
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    const attachment = this.#attachment;
    const pending = this.#pending;
    if (this.#closed) return Promise.reject(new Error(closedReason));
    const id = pending.id();
    const answer = pending.reads.add(id);
    if (attachment.presented) writeRead(attachment.exchange, id, request);
    return answer;
  }

  // Batches: once a turn, no promise and no object for a message

  publish(batch: Publish[]): void {
    const attachment = this.#attachment;
    const pending = this.#pending;
    let storedCount = 0;
    for (let index = 0; index < batch.length; index++)
      if (batch[index]!.message.qos > 0) storedCount += 1;
    const qos0Count = batch.length - storedCount;
    const stored = qos0Count === 0 ? batch : batch.filter(({ message }) => message.qos > 0);
    const first = pending.publishes.add(pending.ticket(), stored);
    if (qos0Count === 0 || this.#takesQos0(qos0Count)) {
      if (attachment.presented) this.#writeNow(first, batch);
    } else if (attachment.presented && storedCount > 0) {
      this.#writeNow(first, stored);
    }
  }

  #writeNow(first: number, batch: Publish[]): void {
    writePublishes(this.#attachment.exchange, first, batch);
    this.#order.published(batch);
  }

  /** QoS 0 goes to ds at once or not at all. */
  #takesQos0(count: number): boolean {
    const attachment = this.#attachment;
    const bufferBytesMax = this.#bufferBytesMax;
    if (!attachment.up) {
      this.#events.qos0Dropped('link down', count);
      return false;
    }
    if (attachment.exchange.waitingBytes > bufferBytesMax) {
      this.#events.qos0Dropped('link behind', count);
      return false;
    }
    return true;
  }

  /** `fenced` comes where `durable` never will. */
  write(batch: SessionWrite[], durable?: () => void, fenced?: () => void): boolean {
    const attachment = this.#attachment;
    const pending = this.#pending;
    if (this.#closed) return false;
    if (attachment.presented) {
      writeWrites(attachment.exchange, pending.writes.number(durable, fenced), batch);
      return true;
    }
    // Nothing to write, and nobody there to say that all before is durable.
    if (batch.length === 0) return false;
    pending.holdWrites(batch, durable, fenced);
    return true;
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    const attachment = this.#attachment;
    const pending = this.#pending;
    if (attachment.presented) writeCredit(attachment.exchange, session, messagesTotal);
    else pending.holdCredit(session, messagesTotal);
  }

  // The life of the link

  /** Clients that wait to be let in ask again. ds may have claimed their sessions. */
  leaseEnded(): void {
    for (const session of this.#pending.calls.rejectClaims(endedReason)) {
      this.disconnect(session, notAccepted).catch(() => {
        // The link was closed, or ds does not know it: there is nothing to undo.
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#pending.calls.rejectAll(closedReason);
    this.#pending.reads.rejectAll(closedReason);
  }
}

function about(session: SessionHandle, clientId?: ClientId): CallSubject {
  return { session, clientId, last: false };
}

const nothing: CallSubject = { session: undefined, clientId: undefined, last: false };
const everything: CallSubject = { session: undefined, clientId: undefined, last: true };
const endedReason = 'no answer from ds within the lease';
const closedReason = 'the link is closed';
