import type { NodeId, SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Downstream,
  Link,
  LinkServer,
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
import { connect, type ConnectPorts, continueConnect, reauthenticate } from './connect.ts';
import { CsNode } from './cs-node.ts';
import { disconnect } from './disconnect.ts';
import type { Publisher } from './publish.ts';
import type { Registry } from './registry/registry.ts';
import { endEmptyRuns, readRetained } from './retained.ts';
import type { SessionWritePorts } from './session-write.ts';
import { writeSessions } from './session-write.ts';
import { subscribe, type SubscribePorts, unsubscribe } from './subscribe.ts';
import type { SysTopics } from './sys-topics.ts';

export interface LinkPorts extends ConnectPorts, SubscribePorts, SessionWritePorts {
  readonly registry: Registry;
  readonly publisher: Publisher;
  readonly sys: SysTopics;
}

/** What one cs calls: each call goes to its use case, with the node it came from. */
class DsLink implements Link {
  readonly leaseEndsMs: number = Infinity;
  readonly up: boolean = true;
  readonly #ports: LinkPorts;
  readonly #node: CsNode;

  constructor(ports: LinkPorts, node: CsNode) {
    this.#ports = ports;
    this.#node = node;
  }

  connect(request: ConnectRequest): Promise<ConnectAnswer> {
    return connect(this.#ports, this.#node, request);
  }

  continueConnect(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
  ): Promise<ConnectAnswer> {
    return continueConnect(this.#ports, this.#node, session, authenticationData);
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
    if (live !== undefined) await disconnect(this.#ports, live, end);
  }

  subscribe(session: SessionHandle, subscriptions: SubscribeEntry[]): Promise<SubscribeAnswer[]> {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) {
      return subscribe(this.#ports, live, subscriptions).then((answers) =>
        endEmptyRuns(this.#ports, live, answers),
      );
    }
    const refused = { kind: 'refused', reasonCode: ReasonCode.unspecifiedError } as const;
    return Promise.resolve(subscriptions.map(() => refused));
  }

  unsubscribe(session: SessionHandle, filters: string[]): Promise<number[]> {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) return unsubscribe(this.#ports, live, filters);
    return Promise.resolve(filters.map(() => ReasonCode.unspecifiedError));
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    return this.#ports.queueStore.read(request);
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    return readRetained(this.#ports.retained, this.#ports.sys, request);
  }

  publish(batch: Publish[]): void {
    this.#ports.publisher.publish(this.#node, batch);
  }

  write(batch: SessionWrite[], durable?: () => void): boolean {
    return writeSessions(this.#ports, this.#node, batch, durable);
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    const live = this.#node.sessions.get(session);
    if (live !== undefined) this.#ports.groups.credit(live, messagesTotal);
  }
}

/** Where cs nodes attach. A node that detaches has lost its lease: its connections have ended. */
export class DsLinkServer implements LinkServer {
  readonly #ports: LinkPorts;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
  }

  attach(downstream: Downstream): Link {
    const { nodes, registry } = this.#ports;
    const node = new CsNode(downstream);
    if (nodes.has(node.id)) throw new Error(`node ${node.id} is attached already`);
    nodes.set(node.id, node);
    registry.join(node.id);
    return new DsLink(this.#ports, node);
  }

  async detach(id: NodeId): Promise<void> {
    this.#ports.registry.leave(id);
    await this.judgeLeases();
  }

  /** From a timer: attached nodes are alive; of others the leases end. */
  async judgeLeases(): Promise<void> {
    for (const id of this.#ports.registry.ended()) await this.#endNode(id);
  }

  renewLeases(): void {
    for (const id of this.#ports.nodes.keys()) this.#ports.registry.renew(id);
  }

  async #endNode(id: NodeId): Promise<void> {
    const node = this.#ports.nodes.get(id);
    if (node === undefined) return;
    const end = { publishWill: true, sessionExpiryS: undefined, reason: 'node gone' };
    const sessions = [...node.sessions.values()];
    for (const connecting of node.connecting.values()) connecting.gone = end;
    await Promise.all(sessions.map((session) => disconnect(this.#ports, session, end)));
    this.#ports.nodes.delete(id);
    this.#ports.publisher.forget(node);
    if (sessions.length > 0) this.#ports.events.nodeEnded(id, sessions.length);
  }
}
