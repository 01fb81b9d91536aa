import { epoch, groupId, queueId } from '@lmqtt/common/ids';
import type { NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Link,
  LinkedNode,
  LinkServer,
  PresentedSession,
  Publish,
  ReadAnswer,
  ReadRequest,
  ReauthenticateAnswer,
  Refusal,
  RetainedAnswer,
  RetainedRequest,
  SessionWrite,
  SubscribeAnswer,
} from '@lmqtt/proto/link';
import type { SessionState, SubscriptionState } from '@lmqtt/proto/session-state';
import { readFrom } from './queue-fixture.ts';

/** A call that waits: the test answers or rejects it. */
interface Waiting<Request, Answer> {
  readonly request: Request;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export const noState: SessionState = { subscriptions: [], outbound: [], inbound: [] };

/**
 * The other side of the link as a test wants it: connects and reads are answered at once unless
 * `answers` is off, all else when the test says so.
 */
export class ScriptedDs implements LinkServer, Link {
  up = true;
  leaseEndsMs = 1000;
  /** Calls that arrive meanwhile wait. */
  answers = true;
  /** Messages in every queue. */
  messages: Message[] = [];
  retained: Message[] = [];
  retainedPageMax = 256;
  sessionExpiryS: number | undefined = undefined;
  readonly states: Map<string, SessionState> = new Map();
  /** Subscriptions in the answer to a CONNECT, and in each further answer. */
  subscriptionsPortion = 250;
  /** Subscriptions of the sessions that were claimed. */
  readonly claimed: Map<SessionHandle, readonly SubscriptionState[]> = new Map();
  readonly subscriptionReads: Waiting<number, SubscriptionState[]>[] = [];
  readonly connects: Waiting<ConnectRequest, ConnectAnswer>[] = [];
  readonly reads: Waiting<ReadRequest, ReadAnswer>[] = [];
  readonly retainedReads: Waiting<RetainedRequest, RetainedAnswer>[] = [];
  readonly disconnects: Waiting<{ session: SessionHandle; end: ConnectionEnd }, void>[] = [];
  readonly settles: Waiting<SessionHandle, void>[] = [];
  readonly publishes: Publish[] = [];
  readonly writes: SessionWrite[] = [];
  readonly credits: [SessionHandle, number][] = [];
  readonly detached: NodeId[] = [];
  detaches = true;
  #durables: (() => void)[] = [];
  #attached: LinkedNode | undefined = undefined;
  #lastEpoch = 0;

  attach(node: LinkedNode): Link {
    this.#attached = node;
    return this;
  }

  detach(node: NodeId): Promise<void> {
    this.detached.push(node);
    return this.detaches ? Promise.resolve() : new Promise(() => {});
  }

  get node(): LinkedNode {
    if (this.#attached === undefined) throw new Error('no node is attached');
    return this.#attached;
  }

  /** The ds of before is gone: another one is shown all sessions. */
  takeOver(): PresentedSession[] {
    this.#durables = [];
    return [...this.node.present()];
  }

  /** ... and answers: with a lease again, reads of before are rejected. */
  accept(leaseEndsMs: number, refusals: Refusal[] = []): void {
    this.node.presented(refusals);
    this.up = true;
    this.leaseEndsMs = leaseEndsMs;
    for (const read of this.reads.splice(0)) read.reject(new Error('another ds'));
    this.node.linkChanged();
  }

  /** All that was written so far is stored. */
  stored(): void {
    for (const durable of this.#durables.splice(0)) durable();
  }

  /** Answers all publishes at QoS 1 and 2. */
  answerPublishes(): void {
    this.node.published(this.publishes.splice(0));
  }

  subscriptionsOf(session: SessionHandle, from: number): Promise<SubscriptionState[]> {
    if (!this.answers) return wait(this.subscriptionReads, from);
    const all = this.claimed.get(session) ?? [];
    return Promise.resolve(all.slice(from, from + this.subscriptionsPortion));
  }

  connect(request: ConnectRequest): Promise<ConnectAnswer> {
    if (!this.answers) return wait(this.connects, request);
    this.#lastEpoch += 1;
    const state = this.states.get(request.clientId);
    const subscriptions = state?.subscriptions ?? [];
    const { subscriptionsPortion: portion } = this;
    this.claimed.set(request.session, subscriptions);
    return Promise.resolve({
      kind: 'accepted',
      epoch: epoch(this.#lastEpoch),
      sessionPresent: state !== undefined,
      state:
        state === undefined
          ? noState
          : { ...state, subscriptions: subscriptions.slice(0, portion) },
      subscriptionsLeft: Math.max(0, subscriptions.length - portion),
      sessionExpiryS: this.sessionExpiryS ?? request.sessionExpiryS,
      principal: request.userName === undefined ? '' : principalOf(request.userName),
      rights: undefined,
      packetBytesMax: undefined,
      authenticationData: undefined,
    });
  }

  continueConnect(): Promise<ConnectAnswer> {
    return Promise.reject(new Error('not of this test'));
  }

  reauthenticate(): Promise<ReauthenticateAnswer> {
    return Promise.reject(new Error('not of this test'));
  }

  disconnect(session: SessionHandle, end: ConnectionEnd): Promise<void> {
    const told = wait<{ session: SessionHandle; end: ConnectionEnd }, void>(this.disconnects, {
      session,
      end,
    });
    if (this.answers) this.disconnects.pop()?.resolve();
    return told;
  }

  subscribe(): Promise<SubscribeAnswer[]> {
    return new Promise(() => {});
  }

  unsubscribe(): Promise<number[]> {
    return new Promise(() => {});
  }

  settle(session: SessionHandle): Promise<void> {
    return wait(this.settles, session);
  }

  undelivered(): Promise<void> {
    return Promise.resolve();
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    const read = wait(this.reads, request);
    if (this.answers) this.reads.pop()?.resolve(readFrom(this.messages, request));
    return read;
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    const read = wait(this.retainedReads, request);
    if (this.answers) this.retainedReads.pop()?.resolve(this.retainedAnswer(request));
    return read;
  }

  retainedAnswer({ after, version }: RetainedRequest): RetainedAnswer {
    const all = this.retained.filter(({ topic }) =>
      version === undefined ? topic > after : topic === version.topic,
    );
    const messages = all.slice(0, this.retainedPageMax);
    const more = messages.length < all.length && version === undefined;
    return { messages, next: more ? messages.at(-1)?.topic : undefined, ends: [] };
  }

  publish(batch: Publish[]): void {
    this.publishes.push(...batch);
  }

  write(batch: SessionWrite[], durable?: () => void): boolean {
    this.writes.push(...batch);
    if (durable !== undefined) this.#durables.push(durable);
    return true;
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    this.credits.push([session, messagesTotal]);
  }
}

function wait<Request, Answer>(
  list: Waiting<Request, Answer>[],
  request: Request,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    list.push({ request, resolve, reject });
  });
}

/** A stored subscription; `group` makes it one of a shared group. */
export function subscriptionState(
  filter: string,
  queue: number,
  qos: Qos,
  rest: { position?: number; done?: number[]; group?: number; retainedAfter?: string } = {},
): SubscriptionState {
  const { position = 0, done = [], group, retainedAfter } = rest;
  return {
    filter,
    options: {
      qos,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionIdentifier: undefined,
    },
    group: group === undefined ? undefined : groupId(group),
    queue: queueId(queue),
    positions: group === undefined ? [{ partition: 0, start: 0, position, done }] : [],
    retainedAfter,
  };
}

/** A principal in the form in which a ds writes it. */
export function principalOf(user: string): string {
  return JSON.stringify({ user });
}
