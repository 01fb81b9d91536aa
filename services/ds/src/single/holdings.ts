import type { QueueId, QueueName } from '@lmqtt/common/ids';
import type { Outlet } from '../routing/outlet.ts';
import type { DsEvents } from '../events.ts';
import type { Holdings, WantedQueue } from '../use-cases/holdings.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Registry, RouteChange } from '../registry/registry.ts';
import type { GroupOutlet, Queue, Routes } from '../routing/routes.ts';
import type { StoredSubscription } from '../session-store/stored-session.ts';

/**
 * Holdings of the only ds: a queue is opened by its first holder, closed and dropped when the last
 * goes.
 */
export class LocalHoldings implements Holdings {
  readonly #routes: Routes;
  readonly #registry: Registry;
  readonly #queueStore: QueueStore;
  readonly #events: DsEvents;
  /** Not at start, when not everybody who holds something may be known yet. */
  #settled = false;

  constructor(routes: Routes, registry: Registry, queueStore: QueueStore, events: DsEvents) {
    this.#routes = routes;
    this.#registry = registry;
    this.#queueStore = queueStore;
    this.#events = events;
  }

  async open(wanted: readonly WantedQueue[]): Promise<Queue[]> {
    const changes: RouteChange[] = [];
    const opening = new Set<QueueName>();
    for (const { name } of wanted) {
      if (this.#routes.named(name) !== undefined || opening.has(name)) continue;
      opening.add(name);
      changes.push({ kind: 'open', queue: this.#registry.newQueue(), name });
    }
    const told = changes.length > 0 ? this.#registry.change(changes) : undefined;
    const queues = wanted.map(({ name }) => this.#routes.named(name)!);
    for (const queue of queues) queue.pins += 1;
    await told;
    return queues;
  }

  /** A node is interested from `connect` on. */
  unwanted(): void {}

  /** At start: a queue that a stored session or group holds. */
  restore(id: QueueId, name: QueueName): Queue {
    if (this.#routes.queue(id) === undefined)
      void this.#registry.change([{ kind: 'open', queue: id, name }]);
    return this.#routes.queue(id)!;
  }

  unpin(queue: Queue): void {
    queue.pins -= 1;
    this.#closeIfUnheld(queue);
  }

  add(subscription: StoredSubscription): void {
    if (subscription.group !== undefined) return;
    this.#routes.queue(subscription.queue)?.holders.add(subscription);
  }

  remove(subscription: StoredSubscription): void {
    const queue = this.#routes.queue(subscription.queue);
    if (queue === undefined || subscription.group !== undefined) return;
    queue.holders.delete(subscription);
    queue.moved = true;
    this.#closeIfUnheld(queue);
  }

  addGroup(queue: Queue, group: GroupOutlet): void {
    queue.groups = [...(queue.groups ?? []), group];
    this.#routes.changed(queue);
  }

  removeGroup(queue: Queue, group: GroupOutlet): void {
    const others = queue.groups?.filter((one) => one !== group);
    queue.groups = others?.length === 0 ? undefined : others;
    this.#routes.changed(queue);
    this.#closeIfUnheld(queue);
  }

  connect(subscription: StoredSubscription, node: Outlet): void {
    const queue = this.#routes.queue(subscription.queue);
    if (queue === undefined || subscription.group !== undefined || subscription.live) return;
    subscription.live = true;
    const known = queue.interest.find((one) => one.node === node);
    if (known !== undefined) {
      known.sessions += 1;
      return;
    }
    const one = { node, sessions: 1 };
    queue.interest = queue.interest.length === 0 ? [one] : [...queue.interest, one];
    void this.#registry.change([{ kind: 'interest', queue: queue.id, node: node.id }]);
  }

  disconnect(subscription: StoredSubscription, node: Outlet): void {
    if (!subscription.live) return;
    subscription.live = false;
    const queue = this.#routes.queue(subscription.queue);
    const known = queue?.interest.find((one) => one.node === node);
    if (queue === undefined || known === undefined) return;
    known.sessions -= 1;
    if (known.sessions > 0) return;
    queue.interest = queue.interest.filter((one) => one !== known);
    void this.#registry.change([{ kind: 'no interest', queue: queue.id, node: node.id }]);
  }

  /** The queue is pinned for as long. */
  letGo(): void {}

  settled(): undefined {
    return undefined;
  }

  /** All holders are known: what nobody holds goes, from now on. `stored`: what the store has. */
  settle(stored: readonly QueueId[]): void {
    this.#settled = true;
    for (const queue of [...this.#routes.queues]) this.#closeIfUnheld(queue);
    for (const id of stored) if (this.#routes.queue(id) === undefined) this.#drop(id);
  }

  #closeIfUnheld(queue: Queue): void {
    if (!this.#settled) return;
    if (queue.closed || queue.pins > 0 || queue.holders.size > 0 || queue.groups !== undefined)
      return;
    void this.#registry.change([{ kind: 'close', queue: queue.id }]);
    this.#drop(queue.id);
  }

  #drop(id: QueueId): void {
    this.#queueStore.drop(id).catch((error: unknown) => this.#events.queueNotDropped(id, error));
  }
}
