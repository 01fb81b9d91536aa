import {
  type ClientId,
  csOfLane,
  laneName,
  type NodeId,
  type SessionHandle,
} from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { ConnectionEnd, Downstream, PresentedSession, Refusal } from '@lmqtt/proto/link';
import { CsNode } from '../sessions/cs-node.ts';
import { disconnect, stopGraceMs, takeOffNode } from '../use-cases/disconnect.ts';
import { type Admitted, DsLink, type UseCasePorts } from '../ds-link.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { FirstLanes } from './first-lanes.ts';
import { NodeIdInUse } from '../registry/node-id-in-use.ts';
import type { Outlet } from '../routing/outlet.ts';
import { presentationOf, type PresentPorts, takeUp, TakeUpTurns } from '../use-cases/present.ts';
import type { Inbox } from '../registry/inbox.ts';
import type { EndedNode, NodeRecord, Nodes } from '../registry/nodes.ts';
import type { Routes } from '../routing/routes.ts';
import type { ClusterSessionStore } from '../session-store/session-store.ts';

interface ClusterAdmissionPorts extends UseCasePorts, PresentPorts {
  readonly sessionStore: ClusterSessionStore;
  readonly registeredNodes: Nodes;
  readonly inbox: Inbox;
  /** The outlet for pushes to a cs: one of its lanes here. */
  readonly outlets: Map<NodeId, Outlet>;
  readonly routes: Routes;
  /** Identifier of this ds. */
  readonly self: NodeId;
  /** How long answers may wait, since the store is busy with what is here. */
  gatherMs(): number;
  /** Tells a cs how far the queues that it wants have come, as far as this ds has seen. */
  tellEnds(cs: Outlet): void;
}

interface Kick {
  readonly cs: NodeId;
  readonly session: SessionHandle;
}

const kickUse = 'kick';
const presentedAtOnce = 500;

/**
 * Admission of the lanes of cs nodes to one of several ds. A lane may come at any time with the
 * sessions that it had at another ds; the store sees to it that only one ds writes for each. The
 * lease is of the cs, whichever lane is heard.
 */
export class ClusterAdmission {
  readonly #ports: ClusterAdmissionPorts;
  readonly #instances = new Map<NodeId, string>();
  readonly #listeners: ((node: NodeId) => void)[] = [];
  readonly #first = new FirstLanes();

  constructor(ports: ClusterAdmissionPorts) {
    this.#ports = ports;
    ports.registeredNodes.onEnded((ended) => {
      if (ended.role === 'cs') this.#csEnded(ended);
    });
    ports.sessionStore.onFenced((stored) => {
      const session = ports.live.get(stored.clientId);
      if (session?.stored === stored) this.#fenced(session, ReasonCode.sessionTakenOver);
    });
    ports.inbox.onMessage((_from, message) => {
      if (message.kind === 'to' && message.use === kickUse) this.#kick(message.body as Kick);
    });
  }

  /**
   * All routes are known: before, what a cs publishes would be stored for nobody. `cs`: those that
   * are alive.
   */
  open(cs: Iterable<NodeId>): void {
    this.#first.begin(cs, this.leaseMs);
  }

  /** Lanes are still waited for before any is taken in. */
  get waits(): boolean {
    return this.#first.waits;
  }

  get leaseMs(): number {
    return this.#ports.registeredNodes.leaseMs;
  }

  get gatherMs(): number {
    return this.#ports.gatherMs();
  }

  async admit(
    downstream: Downstream,
    instance: string,
    sessions: PresentedSession[],
    about: Pick<NodeRecord, 'version' | 'address' | 'startedAtMs'>,
  ): Promise<Admitted> {
    const { nodes, registeredNodes, events } = this.#ports;
    const cs = csOfLane(downstream.node);
    await this.#first.came(cs);
    if (nodes.has(downstream.node)) {
      if (this.#instances.get(downstream.node) !== instance) throw new NodeIdInUse(cs);
      this.#drop(downstream.node);
    }
    await registeredNodes.join({ id: cs, role: 'cs', instance, ...about });
    const node = new CsNode(downstream);
    nodes.set(node.id, node);
    this.#instances.set(node.id, instance);
    this.#chooseOutlet(cs);
    const refusals: Refusal[] = [];
    const ended: { readonly session: LiveSession; readonly end: ConnectionEnd }[] = [];
    for (let at = 0; at < sessions.length; at += presentedAtOnce)
      await this.#takeUp(node, sessions.slice(at, at + presentedAtOnce), refusals, ended);
    await this.#durable();
    for (const { session, end } of ended) void disconnect(this.#ports, session, end);
    events.nodeAttached(node.id, instance, refusals.length);
    setImmediate(() => {
      if (!node.over) this.#ports.tellEnds(node);
    });
    return { link: new DsLink(this.#ports, node), refusals };
  }

  renew(node: NodeId, connections = 0, draining = false): Promise<boolean> {
    const instance = this.#instances.get(node);
    if (instance === undefined) return Promise.resolve(false);
    const renewed = this.#ports.registeredNodes.renew(
      csOfLane(node),
      instance,
      connections,
      draining,
    );
    return within(this.leaseMs / 3, renewed);
  }

  /** A planned stop of the lane; of its cs, where that does not go on and has no other here. */
  async detach(id: NodeId, goesOn: boolean = false): Promise<void> {
    const node = this.#ports.nodes.get(id);
    if (node === undefined) return;
    const instance = this.#instances.get(id)!;
    const end = { publishWill: true, sessionExpiryS: undefined, reason: 'node left' };
    for (const connecting of node.connecting.values()) connecting.gone = end;
    await Promise.all(
      [...node.sessions.values()].map((session) =>
        disconnect(this.#ports, session, end, stopGraceMs),
      ),
    );
    this.#drop(id);
    const cs = csOfLane(id);
    if (!goesOn && ![...this.#ports.nodes.keys()].some((lane) => csOfLane(lane) === cs))
      await this.#ports.registeredNodes.leave(cs, instance);
  }

  /** A lane that is not heard any more, of a cs that may live on by others. */
  abandoned(id: NodeId): void {
    this.#drop(id);
  }

  /**
   * Listeners are told before the sessions of a node end whose lease was judged, or that has left.
   */
  onNodeEnded(listener: (node: NodeId) => void): void {
    this.#listeners.push(listener);
  }

  clientOf(node: NodeId, session: SessionHandle): ClientId | undefined {
    return this.#ports.nodes.get(node)?.sessions.get(session)?.clientId;
  }

  /** Asks a connection of another ds to go: by our own stream to its cs, else by who has one. */
  kickAt(cs: NodeId, session: SessionHandle): void {
    const body: Kick = { cs, session };
    if (this.#kick(body)) return;
    const { registeredNodes, self, inbox } = this.#ports;
    for (const id of registeredNodes.aliveDs)
      if (id !== self) inbox.send(id, { kind: 'to', use: kickUse, body });
  }

  /** False: the cs has no lane here. */
  #kick({ cs, session }: Kick): boolean {
    const outlet = this.#ports.outlets.get(cs);
    outlet?.downstream.kick(session, ReasonCode.sessionTakenOver);
    return outlet !== undefined;
  }

  async #takeUp(
    node: CsNode,
    sessions: PresentedSession[],
    refusals: Refusal[],
    ended: { readonly session: LiveSession; readonly end: ConnectionEnd }[],
  ): Promise<void> {
    const { sessionStore, live } = this.#ports;
    const answers = await Promise.all(
      sessions.map(async (presented) =>
        sessionStore.present(await presentationOf(this.#ports, node, presented)),
      ),
    );
    const turns = new TakeUpTurns();
    for (const [index, presented] of sessions.entries()) {
      const before = live.get(presented.clientId);
      const said = answers[index]!;
      // In the turns between, the client may have claimed it here.
      const isReplaced = said.kind === 'taken up' && !said.session.connected;
      const answer = isReplaced ? ({ kind: 'claimed' } as const) : said;
      if (answer.kind === 'taken up' && node.over) {
        sessionStore.drop(answer.session);
        continue;
      }
      if (answer.kind === 'taken up' && before !== undefined) this.#forget(before);
      const taken = takeUp(this.#ports, node, presented, answer);
      if (taken.kind === 'refused')
        refusals.push({ session: presented.session, reasonCode: taken.reasonCode });
      else if (presented.end !== undefined)
        ended.push({ session: taken.session, end: presented.end });
      const turn = turns.after(taken);
      if (turn !== undefined) await turn;
    }
    await this.#ports.holdings.settled();
  }

  async #durable(): Promise<void> {
    const { groups, sessionStore } = this.#ports;
    await new Promise<void>((resolve) => sessionStore.commit(groups.behindWrites(resolve)));
  }

  /**
   * Another ds ends its stored sessions, or they were ended: nothing of it counts any more. Its
   * lanes of a later run, which may have attached before this is told, are those of another cs.
   */
  #csEnded({ id, instance, left }: EndedNode): void {
    this.#first.gone(id);
    for (const lane of [...this.#ports.nodes.keys()]) {
      if (csOfLane(lane) !== id || this.#instances.get(lane) !== instance) continue;
      const { size } = this.#ports.nodes.get(lane)!.sessions;
      this.#ports.events.nodeEnded(lane, size, left ? 'node left' : 'node gone');
      for (const listener of this.#listeners) listener(lane);
      this.#drop(lane);
    }
  }

  /** Without a word to the store. */
  #drop(lane: NodeId): void {
    const { nodes, publisher } = this.#ports;
    const node = nodes.get(lane);
    if (node === undefined) return;
    node.over = true;
    const end = { publishWill: true, sessionExpiryS: undefined, reason: 'node gone' };
    for (const connecting of node.connecting.values()) connecting.gone = end;
    for (const session of [...node.sessions.values()]) this.#forget(session);
    nodes.delete(lane);
    this.#instances.delete(lane);
    publisher.forget(node);
    this.#chooseOutlet(csOfLane(lane));
  }

  #fenced(session: LiveSession, reasonCode: number): void {
    session.node.downstream.kick(session.handle, reasonCode);
    this.#forget(session);
  }

  /** The store has given it to another, or will end it. */
  #forget(session: LiveSession): void {
    if (session.closing) return;
    this.#ports.sessionStore.drop(session.stored);
    takeOffNode(this.#ports, session);
    if (this.#ports.live.get(session.clientId) === session)
      this.#ports.live.delete(session.clientId);
    session.end();
  }

  /** The lane that was made last for this ds: those before it have gone elsewhere. */
  #chooseOutlet(cs: NodeId): void {
    const { nodes, outlets, routes, self } = this.#ports;
    let best: CsNode | undefined;
    let bestNumber = -1;
    for (const node of nodes.values()) {
      if (csOfLane(node.id) !== cs || node.over) continue;
      const number = homeNumber(laneName(node.id), self);
      if (best !== undefined && number < bestNumber) continue;
      best = node;
      bestNumber = number;
    }
    if (outlets.get(cs) === best) return;
    if (best === undefined) outlets.delete(cs);
    else outlets.set(cs, best);
    routes.nodeChanged(cs);
  }
}

/**
 * Number of the lane among those that a cs made for the ds, from 1 on; 0: it was made for another
 * one.
 */
function homeNumber(lane: string, ds: NodeId): number {
  if (lane === ds) return 1;
  return lane.startsWith(`${ds}~`) ? Number(lane.slice(ds.length + 1)) : 0;
}

/** A registry that is slow to answer is not to be taken for a stream that broke. */
function within<T>(waitMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the registry does not answer')), waitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
