import type { Clock } from '@lmqtt/common/clock';
import type { NodeId } from '@lmqtt/common/ids';
import type {
  ConnectionEnd,
  Downstream,
  PresentedSession,
  QueueEnd,
  Refusal,
} from '@lmqtt/proto/link';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { CsNode } from '../sessions/cs-node.ts';
import { disconnect } from '../use-cases/disconnect.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import {
  presentationOf,
  type PresentPorts,
  type TakenUp,
  takeUp,
  TakeUpTurns,
} from '../use-cases/present.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Registry } from '../registry/registry.ts';
import type { LastRunStore, Presentation, SessionStore } from '../session-store/session-store.ts';

const queuesAtOnce = 1000;

interface GatheringPorts extends PresentPorts {
  readonly sessionStore: SessionStore & LastRunStore;
  readonly registry: Registry;
  readonly queueStore: QueueStore;
}

/** A node of the last run, with what it has presented. */
interface Gathered {
  readonly node: CsNode;
  readonly instance: string;
  readonly refusals: Refusal[];
  readonly ended: { readonly session: LiveSession; readonly end: ConnectionEnd }[];
}

/**
 * The time after a start in which the nodes of the last run present their sessions. Nothing else
 * happens in it: no timer works, nothing is claimed, dropped or given out, since whoever holds
 * something may not be known yet. It is over when all have presented, or their leases have ended;
 * what was not presented has then ended with its node.
 */
export class Gathering {
  readonly #ports: GatheringPorts;
  readonly #clock: Clock;
  readonly #open: () => void;
  readonly #startedMs: number;
  /** The process of each node that is to come back. */
  readonly #awaited = new Map<NodeId, string>();
  /** Another process of the node has come: that one is dead, but its lease may count. */
  readonly #replaced = new Set<NodeId>();
  readonly #gone: NodeId[] = [];
  readonly #gathered = new Map<NodeId, Gathered>();
  #resolve: () => void = () => {};
  #timer: NodeJS.Timeout | undefined = undefined;
  #sessions = 0;
  #ending = false;
  /** Nodes whose sessions are being taken up. */
  #taking = 0;
  /** Open for business, and what was taken up is durable. */
  readonly done: Promise<void>;

  /** `open` is called in the turn in which it ends, when everybody is known. */
  constructor(ports: GatheringPorts, clock: Clock, open: () => void) {
    this.#ports = ports;
    this.#clock = clock;
    this.#open = open;
    this.#startedMs = clock.monotonicMs();
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const { node, instance } of ports.registry.attached) this.#awaited.set(node, instance);
  }

  start(): void {
    this.#timer = setInterval(() => this.check(), Math.min(50, this.#ports.registry.leaseMs / 10));
    this.check();
  }

  /** A node comes. Undefined: it is not one that is awaited; it may try again afterwards. */
  async take(
    downstream: Downstream,
    instance: string,
    sessions: PresentedSession[],
  ): Promise<{ readonly node: CsNode; readonly refusals: Refusal[] } | undefined> {
    const { node: id } = downstream;
    const awaited = this.#awaited.get(id);
    if (awaited !== instance || this.#ending) {
      if (awaited !== undefined) this.#replaced.add(id);
      await this.done;
      return undefined;
    }
    this.#awaited.delete(id);
    this.#replaced.delete(id);
    const gathered: Gathered = {
      node: new CsNode(downstream),
      instance,
      refusals: [],
      ended: [],
    };
    this.#gathered.set(id, gathered);
    this.#ports.nodes.set(id, gathered.node);
    this.#taking += 1;
    try {
      const turns = new TakeUpTurns();
      for (const presented of sessions) {
        const asked = presentationOf(this.#ports, gathered.node, presented);
        const presentation = asked instanceof Promise ? await asked : asked;
        const turn = turns.after(this.#takeUp(gathered, presented, presentation));
        if (turn !== undefined) await turn;
      }
    } finally {
      this.#taking -= 1;
    }
    this.check();
    await this.done;
    return gathered;
  }

  /** From a timer. */
  check(): void {
    if (this.#ending) return;
    const { registry } = this.#ports;
    // Nodes that have presented wait for the others, and are not heard meanwhile.
    for (const id of this.#gathered.keys()) registry.renew(id);
    for (const id of registry.ended()) {
      this.#awaited.delete(id);
      this.#gone.push(id);
    }
    const leaseOver = this.#clock.monotonicMs() >= this.#startedMs + registry.leaseMs;
    const waits = [...this.#awaited.keys()].some((id) => !(leaseOver && this.#replaced.has(id)));
    if (!waits && this.#taking === 0) this.#end();
  }

  /** Callers that wait for the recovery wait on, if it is not over. */
  stop(): void {
    clearInterval(this.#timer);
    this.#ending = true;
  }

  #end(): void {
    this.stop();
    const { registry, events } = this.#ports;
    for (const id of this.#awaited.keys()) {
      registry.leave(id);
      this.#gone.push(id);
    }
    registry.ended();
    this.#open();
    const gathered = [...this.#gathered.values()];
    events.gathered({
      nodes: gathered.length,
      sessions: this.#sessions,
      refused: gathered.reduce((sum, { refusals }) => sum + refusals.length, 0),
      gone: this.#gone,
      ms: Math.round(this.#clock.monotonicMs() - this.#startedMs),
    });
    this.#settle(gathered).catch((error: unknown) => events.unexpected('gathering', error));
  }

  async #settle(gathered: Gathered[]): Promise<void> {
    const { registry, sessionStore } = this.#ports;
    await new Promise<void>((resolve) => sessionStore.commit(resolve));
    for (const { ended } of gathered)
      for (const { session, end } of ended) await disconnect(this.#ports, session, end);
    for (const { node, instance } of gathered) await registry.join(node.id, instance);
    this.#resolve();
    // After their answers.
    setImmediate(() => {
      for (const { node } of gathered)
        this.#tellEnds(node).catch((error: unknown) =>
          this.#ports.events.unexpected('ends of queues', error),
        );
    });
  }

  /** The messages stored last may not have been pushed. */
  async #tellEnds(node: CsNode): Promise<void> {
    const { routes, queueStore } = this.#ports;
    const queues = [...routes.queues].filter((queue) => queue.nodes.includes(node));
    for (let at = 0; at < queues.length; at += queuesAtOnce) {
      const ends: QueueEnd[] = [];
      for (const { id } of queues.slice(at, at + queuesAtOnce))
        for (const { partition, end } of await queueStore.ends(id))
          if (end > 0) ends.push({ queue: id, partition, end });
      if (node.over) return;
      if (ends.length > 0) node.downstream.behind(ends);
    }
  }

  #takeUp(gathered: Gathered, presented: PresentedSession, presentation: Presentation): TakenUp {
    const { node } = gathered;
    const answer = this.#ports.sessionStore.present(presentation);
    const taken = takeUp(this.#ports, node, presented, answer);
    if (taken.kind === 'refused') {
      gathered.refusals.push({ session: presented.session, reasonCode: taken.reasonCode });
      return taken;
    }
    this.#sessions += 1;
    const { end } = presented;
    if (end !== undefined) gathered.ended.push({ session: taken.session, end });
    const { displaced } = taken;
    if (displaced === undefined) return taken;
    this.#sessions -= 1;
    this.#gathered.get(displaced.node.id)?.refusals.push({
      session: displaced.handle,
      reasonCode: ReasonCode.sessionTakenOver,
    });
    return taken;
  }
}
