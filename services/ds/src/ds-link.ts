import type { ClientId, NodeId, SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Downstream,
  Link,
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
  SubscribeEntry,
} from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import {
  connect,
  type ConnectPorts,
  continueConnect,
  subscriptionsPortion,
} from './use-cases/connect.ts';
import { reauthenticate } from './use-cases/reauthenticate.ts';
import { CsNode } from './sessions/cs-node.ts';
import { disconnect, stopGraceMs } from './use-cases/disconnect.ts';
import type { DeadLetters } from './use-cases/dead-letters.ts';
import type { Gathering } from './single/gathering.ts';
import type { DelayedStore } from './delayed-store/delayed-store.ts';
import { NodeIdInUse } from './registry/node-id-in-use.ts';
import type { Publisher } from './use-cases/publish.ts';
import type { Registry } from './registry/registry.ts';
import type { PublishHook } from './use-cases/publish-hook.ts';
import type { SubscribeHook } from './use-cases/subscribe-hook.ts';
import { endEmptyRuns, readRetained } from './use-cases/retained.ts';
import type { SessionWritePorts } from './use-cases/session-write.ts';
import { writeSessions } from './use-cases/session-write.ts';
import { subscribeFrom } from './use-cases/subscribe-from.ts';
import { type SubscribePorts, unsubscribe, withdrawDenied } from './use-cases/subscribe.ts';
import type { SysTopics } from './use-cases/sys-topics.ts';

export interface UseCasePorts extends ConnectPorts, SubscribePorts, SessionWritePorts {
  readonly publisher: Publisher;
  readonly publishHook?: PublishHook | undefined;
  readonly subscribeHook?: SubscribeHook | undefined;
  readonly delayed: DelayedStore;
  readonly sys: SysTopics;
  readonly deadLetters: DeadLetters;
}

interface LinkPorts extends UseCasePorts {
  readonly registry: Registry;
}

/** The link as one cs calls it: each call goes to its use case, with the node it came from. */
export class DsLink implements Link {
  readonly leaseEndsMs: number = Infinity;
  readonly up: boolean = true;
  readonly #ports: UseCasePorts;
  readonly #node: CsNode;

  constructor(ports: UseCasePorts, node: CsNode) {
    this.#ports = ports;
    this.#node = node;
  }

  connect(request: ConnectRequest): Promise<ConnectAnswer> {
    if (this.#node.over) {
      const reasonCode = ReasonCode.serverUnavailable;
      return Promise.resolve({ kind: 'refused', reasonCode, reason: 'the lease has ended' });
    }
    return connect(this.#ports, this.#node, request);
  }

  continueConnect(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
  ): Promise<ConnectAnswer> {
    return continueConnect(this.#ports, this.#node, session, authenticationData);
  }

  subscriptionsOf(session: SessionHandle, from: number): Promise<SubscriptionState[]> {
    const live = this.#node.sessions.get(session);
    if (live === undefined) return Promise.reject(new Error('the session is not known'));
    return Promise.resolve(live.stored.subscriptionStates(from, subscriptionsPortion));
  }

  reauthenticate(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
    start: boolean,
  ): Promise<ReauthenticateAnswer> {
    const live = this.#node.sessions.get(session);
    if (live === undefined) {
      return Promise.resolve({ kind: 'refused', reasonCode: ReasonCode.sessionTakenOver });
    }
    return reauthenticate(this.#ports, live, authenticationData, start);
  }

  async disconnect(session: SessionHandle, end: ConnectionEnd): Promise<void> {
    const connecting = this.#node.connecting.get(session);
    if (connecting !== undefined) {
      connecting.gone = end;
      // Nothing is under way that would notice: the client owes its next AUTH.
      if (connecting.exchange !== undefined) this.#node.connecting.delete(session);
      return;
    }
    const live = this.#node.sessions.get(session);
    if (live === undefined) return;
    // Messages that the client published before it left go on first.
    const waiting = live.hooked?.settled();
    if (waiting !== undefined) await waiting;
    await disconnect(this.#ports, live, end);
  }

  subscribe(session: SessionHandle, subscriptions: SubscribeEntry[]): Promise<SubscribeAnswer[]> {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) {
      const go = (entries: SubscribeEntry[]): Promise<SubscribeAnswer[]> =>
        subscribeFrom(this.#ports, live, entries).then((answers) =>
          endEmptyRuns(this.#ports, live, answers).then((settled) =>
            withdrawDenied(this.#ports, live, settled),
          ),
        );
      return this.#ports.subscribeHook?.subscribe(live, subscriptions, go) ?? go(subscriptions);
    }
    const refused = { kind: 'refused', reasonCode: ReasonCode.unspecifiedError } as const;
    return Promise.resolve(subscriptions.map(() => refused));
  }

  unsubscribe(session: SessionHandle, filters: string[]): Promise<number[]> {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) {
      const go = (): Promise<number[]> => unsubscribe(this.#ports, live, filters);
      return this.#ports.subscribeHook?.inOrder(live, go) ?? go();
    }
    return Promise.resolve(filters.map(() => ReasonCode.unspecifiedError));
  }

  settle(session: SessionHandle): Promise<void> {
    const live = this.#node.sessions.get(session);
    if (live === undefined) return Promise.resolve();
    const waiting = live.hooked?.settled();
    return waiting?.then(() => live.settling.settled()) ?? live.settling.settled();
  }

  undelivered(session: SessionHandle, messages: readonly UndeliveredMessage[]): Promise<void> {
    const live = this.#node.sessions.get(session);
    if (live === undefined) return Promise.resolve();
    this.#ports.events.notDelivered(live.clientId, messages);
    return this.#ports.deadLetters.undelivered(live.clientId, messages);
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    return this.#ports.queueStore.read(request);
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    const session = this.#node.sessions.get(request.session);
    return readRetained(this.#ports, this.#ports.sys, session, request);
  }

  publish(batch: Publish[]): void {
    if (this.#node.over) return;
    const { publishHook, publisher } = this.#ports;
    if (publishHook === undefined) publisher.publish(this.#node, batch);
    else publishHook.publish(this.#node, batch);
  }

  write(batch: SessionWrite[], durable?: () => void): boolean {
    if (this.#node.over) return false;
    return writeSessions(this.#ports, this.#node, batch, durable);
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) this.#ports.groups.credit(live, messagesTotal);
  }
}

/** A cs that another process runs, and what of it is refused. */
export interface Admitted {
  readonly link: Link;
  readonly refusals: Refusal[];
}

const nodeGone = 'node gone';
const nodeLeft = 'node left';

/**
 * The server of the link, to which cs nodes attach: the one of this process by `attach`, which has
 * no lease; others by `admit`, for as long as they renew theirs. A node whose lease was judged is
 * over: its connections have ended, and nothing that still comes from it counts.
 */
export class DsLinkServer implements LinkServer {
  readonly #ports: LinkPorts;
  readonly #gathering: Gathering | undefined;
  readonly #instances = new Map<NodeId, string>();
  /** Nodes that are over, while their sessions are being ended. */
  readonly #ending = new Map<NodeId, Promise<void>>();
  readonly #listeners: ((node: NodeId) => void)[] = [];

  /** `gathering`: where nodes are other processes. */
  constructor(ports: LinkPorts, gathering: Gathering | undefined) {
    this.#ports = ports;
    this.#gathering = gathering;
  }

  get leaseMs(): number {
    return this.#ports.registry.leaseMs;
  }

  attach(downstream: Downstream): Link {
    const { nodes } = this.#ports;
    const node = new CsNode(downstream);
    if (nodes.has(node.id)) throw new Error(`node ${node.id} is attached already`);
    nodes.set(node.id, node);
    return new DsLink(this.#ports, node);
  }

  /**
   * A node with its sessions. Resolves when ds is open for business and what was accepted is
   * durable; throws NodeIdInUse where another process of that name holds a lease.
   */
  async admit(
    downstream: Downstream,
    instance: string,
    sessions: PresentedSession[],
  ): Promise<Admitted> {
    const gathered = await this.#gathering?.take(downstream, instance, sessions);
    if (gathered !== undefined) {
      this.#instances.set(downstream.node, instance);
      return { link: new DsLink(this.#ports, gathered.node), refusals: gathered.refusals };
    }
    const { node: id } = downstream;
    const { nodes, registry } = this.#ports;
    // The state of its attachment is lost: it begins anew.
    if (this.#instances.get(id) === instance) registry.leave(id);
    await this.judgeLeases();
    await this.#ending.get(id);
    if (nodes.has(id)) throw new NodeIdInUse(id);
    const node = new CsNode(downstream);
    nodes.set(id, node);
    this.#instances.set(id, instance);
    try {
      await registry.join(id, instance);
    } catch (error) {
      registry.leave(id);
      await this.judgeLeases();
      throw error;
    }
    const refusals = sessions.map((session) => this.#refusal(session));
    this.#ports.events.nodeAttached(id, instance, refusals.length);
    return { link: new DsLink(this.#ports, node), refusals };
  }

  /** False: its lease was judged, or it is not attached. */
  renew(node: NodeId): boolean {
    return this.#ports.registry.renew(node);
  }

  clientOf(node: NodeId, session: SessionHandle): ClientId | undefined {
    return this.#ports.nodes.get(node)?.sessions.get(session)?.clientId;
  }

  /**
   * Listeners are told before the sessions of a node end whose lease was judged, or that has left.
   */
  onNodeEnded(listener: (node: NodeId) => void): void {
    this.#listeners.push(listener);
  }

  /** A planned stop of the node. */
  async detach(id: NodeId): Promise<void> {
    this.#ports.registry.leave(id);
    const left = this.#endNode(id, nodeLeft, stopGraceMs);
    await Promise.all([left, this.judgeLeases()]);
  }

  /** From a timer. */
  async judgeLeases(): Promise<void> {
    const ended = this.#ports.registry.ended();
    await Promise.all(ended.map((id) => this.#endNode(id, nodeGone, this.#ports.graceMs())));
  }

  #endNode(id: NodeId, reason: string, graceMs: number): Promise<void> {
    const node = this.#ports.nodes.get(id);
    if (node === undefined || node.over) return this.#ending.get(id) ?? Promise.resolve();
    node.over = true;
    this.#instances.delete(id);
    for (const listener of this.#listeners) listener(id);
    const ending = this.#endSessions(node, reason, graceMs).finally(() => {
      this.#ending.delete(id);
    });
    this.#ending.set(id, ending);
    return ending;
  }

  async #endSessions(node: CsNode, reason: string, graceMs: number): Promise<void> {
    const end = { publishWill: true, sessionExpiryS: undefined, reason };
    const sessions = [...node.sessions.values()];
    for (const connecting of node.connecting.values()) connecting.gone = end;
    this.#ports.events.nodeEnded(node.id, sessions.length, reason);
    await Promise.all(sessions.map((session) => disconnect(this.#ports, session, end, graceMs)));
    this.#ports.nodes.delete(node.id);
    this.#ports.publisher.forget(node);
  }

  /** The lease of its node was judged, so the session has ended. */
  #refusal({ session, clientId, epoch }: PresentedSession): Refusal {
    const claimed = (this.#ports.live.get(clientId)?.epoch ?? 0) > epoch;
    return { session, reasonCode: claimed ? ReasonCode.sessionTakenOver : ReasonCode.serverBusy };
  }
}
