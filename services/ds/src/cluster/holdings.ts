import {
  type ClientId,
  csOfLane,
  type NodeId,
  type QueueId,
  type QueueName,
} from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { Holdings, Opener, WantedQueue } from '../use-cases/holdings.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { Outlet } from '../routing/outlet.ts';
import { isOwed } from '../use-cases/owed-queues.ts';
import type { RouteLog, RouteOpening } from '../registry/route-log.ts';
import type { GroupOutlet, Queue, Routes } from '../routing/routes.ts';
import type { StoredSession, StoredSubscription } from '../session-store/stored-session.ts';

interface ClusterHoldingsPorts {
  readonly routes: Routes;
  readonly log: RouteLog;
  readonly placeOf: (name: QueueName) => Place;
  readonly self: NodeId;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
}

/** The store's names for a queue. */
export interface Place {
  readonly own: string;
  /** For a filter whose topics match many others, too: a name that many queues share. */
  readonly shared?: string | undefined;
}

/** Holder of what the cluster itself keeps: the name of no group. */
const clusterHolder = '$share/replay';

/** How many connected sessions of a cs subscribe to a queue, here. */
interface Interest {
  readonly queue: QueueId;
  readonly name: QueueName;
  readonly place: string;
  readonly node: NodeId;
  sessions: number;
}

/**
 * References to queues that this ds holds, and tells the registry that it holds. Queues are closed
 * by the registry, when nobody in the cluster has held them for long; so nothing is lost where
 * something is let go of a little late, or held twice.
 */
export class ClusterHoldings implements Holdings {
  readonly #routes: Routes;
  readonly #log: RouteLog;
  readonly #placeOf: (name: QueueName) => Place;
  readonly #interests = new Map<QueueId, Interest[]>();
  readonly #self: NodeId;
  /** Queues in which a cs may have lost interest while pinned: somebody may be about to have it. */
  readonly #doubtful = new Set<Queue>();
  #settling: Promise<unknown>[] = [];
  /** Subscriptions whose sessions are no holders of their queues. */
  readonly #unheld = new WeakSet<StoredSubscription>();
  /** Queues that the cluster itself holds. */
  readonly #kept = new Map<QueueId, QueueName>();

  constructor({ routes, log, placeOf, self, live }: ClusterHoldingsPorts) {
    this.#routes = routes;
    this.#log = log;
    this.#placeOf = placeOf;
    this.#self = self;
    log.held(() => this.#held(live));
  }

  async open(wanted: readonly WantedQueue[], { stored, node }: Opener): Promise<Queue[]> {
    const ids = await this.#log.open(
      wanted.map(({ name, group }): RouteOpening => {
        const { own: place, shared: sharedPlace } = this.#placeOf(name);
        // Messages of a group go to its members by assignment.
        if (group !== undefined)
          return { name, place, sharedPlace, holder: `$share/${group}/${name}`, node: undefined };
        const holder = stored.persistent ? stored.clientId : undefined;
        return { name, place, sharedPlace, holder, node: csOfLane(node.id) };
      }),
    );
    const queues: Queue[] = [];
    for (const id of ids) {
      const queue = this.#routes.queue(id);
      if (queue === undefined) break;
      queue.pins += 1;
      queues.push(queue);
    }
    if (queues.length === ids.length) return queues;
    for (const queue of queues) {
      this.unwanted(queue);
      this.unpin(queue);
    }
    throw new StoreFailure(
      `queue ${wanted[queues.length]!.name} was closed`,
      ReasonCode.serverUnavailable,
    );
  }

  /** A queue that stays, whoever subscribes. */
  async keep(name: QueueName): Promise<QueueId> {
    const { own: place, shared: sharedPlace } = this.#placeOf(name);
    const [id] = await this.#log.open([
      { name, place, sharedPlace, holder: clusterHolder, node: undefined },
    ]);
    this.#kept.set(id!, name);
    return id!;
  }

  unpin(queue: Queue): void {
    queue.pins -= 1;
    if (queue.pins > 0 || !this.#doubtful.delete(queue)) return;
    for (const { node, ds } of queue.wanted)
      if (ds === this.#self && this.#interestOf(queue.id, node) === undefined)
        this.#log.uninterested(queue.id, node);
  }

  /** Interest of the cs was stored with the opening: it ends, unless another session has it. */
  unwanted(queue: Queue): void {
    this.#doubtful.add(queue);
  }

  /** How many sessions that are connected at this ds subscribe to the queue. */
  subscriptionsOf({ id }: Queue): number {
    let count = 0;
    for (const { sessions } of this.#interests.get(id) ?? []) count += sessions;
    return count;
  }

  #interestOf(queue: QueueId, node: NodeId): Interest | undefined {
    return this.#interests.get(queue)?.find((one) => one.node === node);
  }

  /** The queue was opened for this session, which holds it there if it outlives its connection. */
  add(subscription: StoredSubscription, firstOf?: StoredSession): void {
    if (firstOf !== undefined && !firstOf.persistent) this.#unheld.add(subscription);
  }

  remove(subscription: StoredSubscription, stored: StoredSession): void {
    if (subscription.group !== undefined || this.#unheld.delete(subscription)) return;
    if (!stored.removed && isOwed(stored, subscription.queue)) return;
    this.letGo(subscription.queue, stored);
  }

  letGo(queue: QueueId, stored: StoredSession): void {
    if (stored.removed || stored.onQueue(queue) === undefined)
      this.#log.release(queue, stored.clientId);
  }

  addGroup(queue: Queue, group: GroupOutlet): void {
    queue.groups = [...(queue.groups ?? []), group];
    this.#routes.changed(queue);
  }

  removeGroup(queue: Queue, group: GroupOutlet): void {
    const others = queue.groups?.filter((one) => one !== group);
    queue.groups = others?.length === 0 ? undefined : others;
    this.#routes.changed(queue);
  }

  connect(subscription: StoredSubscription, outlet: Outlet): void {
    const queue = this.#routes.queue(subscription.queue);
    if (queue === undefined || subscription.group !== undefined || subscription.live) return;
    subscription.live = true;
    const node = csOfLane(outlet.id);
    const known = this.#interests.get(queue.id)?.find((one) => one.node === node);
    if (known !== undefined) {
      known.sessions += 1;
      return;
    }
    const { id, name, place } = queue;
    const interest = { queue: id, name, place, node, sessions: 1 };
    this.#interests.set(id, [...(this.#interests.get(id) ?? []), interest]);
    // Known where it was just opened; otherwise a session came with it.
    const told = this.#log.open([{ name, place, holder: undefined, node }]);
    told.catch(() => {});
    this.#settling.push(told);
  }

  disconnect(subscription: StoredSubscription, outlet: Outlet): void {
    if (!subscription.live) return;
    subscription.live = false;
    const interests = this.#interests.get(subscription.queue);
    const node = csOfLane(outlet.id);
    const known = interests?.find((one) => one.node === node);
    if (interests === undefined || known === undefined) return;
    known.sessions -= 1;
    if (known.sessions > 0) return;
    if (interests.length === 1) this.#interests.delete(subscription.queue);
    else interests.splice(interests.indexOf(known), 1);
    const queue = this.#routes.queue(subscription.queue);
    if (queue !== undefined && queue.pins > 0) this.#doubtful.add(queue);
    else this.#log.uninterested(subscription.queue, node);
  }

  settled(): Promise<void> | undefined {
    if (this.#settling.length === 0) return undefined;
    return Promise.all(this.#settling.splice(0)).then(() => undefined);
  }

  *#held(
    live: ReadonlyMap<ClientId, LiveSession>,
  ): Iterable<RouteOpening & { readonly queue: QueueId }> {
    for (const { stored } of live.values()) {
      if (!stored.persistent) continue;
      for (const subscription of stored.subscriptions) {
        const queue = this.#routes.queue(subscription.queue);
        if (queue === undefined || subscription.group !== undefined) continue;
        const { id, name, place } = queue;
        yield { queue: id, name, place, node: undefined, holder: stored.clientId };
      }
    }
    for (const [id, name] of this.#kept) {
      const queue = this.#routes.queue(id);
      if (queue === undefined) continue;
      yield { queue: id, name, place: queue.place, node: undefined, holder: clusterHolder };
    }
    for (const interests of this.#interests.values())
      for (const { queue, name, place, node } of interests)
        yield { queue, name, place, node, holder: undefined };
  }
}
