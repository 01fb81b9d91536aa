import type { Clock } from '@lmqtt/common/clock';
import type { NodeId, QueueId } from '@lmqtt/common/ids';
import { type DuePorts, workDue } from '../use-cases/due.ts';
import { type DelayedDuePorts, DuePublishes } from '../use-cases/due-publishes.ts';
import { EndedCs } from './ended-cs.ts';
import type { Nodes } from '../registry/nodes.ts';
import type { Ownership } from '../registry/ownership.ts';
import type { RouteLog } from '../registry/route-log.ts';
import type { ClusterSessionStore } from '../session-store/session-store.ts';
import { type ReturnedStore, SweepAgain } from './sweep-again.ts';
import type { Timers } from '../timers.ts';

interface ClusterWorkPorts extends DuePorts, DelayedDuePorts {
  readonly sessionStore: ClusterSessionStore;
  readonly registeredNodes: Nodes;
  readonly ownership: Ownership;
  readonly routeLog: RouteLog;
  readonly clock: Clock;
  readonly self: NodeId;
  /** Deletes a queue from the store. */
  drop(place: string): Promise<void>;
  /** Stores of queues that may be there again after a crash. */
  returnedStores?(): Iterable<ReturnedStore>;
}

/** Wills, expiry, sweeping. */
const timersThing = 'timers';
const acquireMs = 1000;
const dueMs = 200;
const delayedMs = 100;
const endedMs = 250;
/** Until then the lanes of its cs nodes have presented their sessions elsewhere. */
const forgetDsMs = 10_000;
const countMs = 5000;
const sweepMs = 10_000;
const sweepAgainMs = 10_000;
const unheldMs = 600_000;
/** Clients whose queues are among them wait until all of these are deleted. */
const sweptAtOnce = 100;
const sweepRoundsMax = 10;

/**
 * Work that one ds does for all: sessions of a cs that ended, the routes of a ds that ended, wills
 * and expiry, queues that nobody holds.
 */
export class ClusterWork {
  readonly #ports: ClusterWorkPorts;
  readonly #endedCs: EndedCs;
  readonly #forgetting = new Set<NodeJS.Timeout>();
  #hasTimers = false;
  #handsOver = false;

  constructor(ports: ClusterWorkPorts) {
    this.#ports = ports;
    this.#endedCs = new EndedCs(ports);
    ports.registeredNodes.onEnded((ended) => {
      if (ended.role === 'ds' && ended.id !== ports.self) this.#forgetLater(ended.id);
    });
    ports.registeredNodes.onLease((held) => {
      if (!held) this.#hasTimers = false;
    });
  }

  /** This ds is the one that works for all. */
  get hasTimers(): boolean {
    return this.#hasTimers;
  }

  start(timers: Timers): void {
    timers.every('timers of the cluster', acquireMs, () => this.#acquire());
    timers.every('ended nodes', endedMs, () => this.#endedCs.take());
    timers.every('due times', dueMs, () => (this.#hasTimers ? workDue(this.#ports) : undefined));
    const due = new DuePublishes(this.#ports);
    timers.every('delayed messages', delayedMs, () => (this.#hasTimers ? due.run() : undefined));
    timers.every('count of sessions', countMs, () =>
      this.#hasTimers ? this.#ports.sessionStore.readCount(true) : undefined,
    );
    const { routeLog, events } = this.#ports;
    const again = new SweepAgain({
      ...{ routeLog, events },
      stores: () => this.#ports.returnedStores?.() ?? [],
      monotonicMs: () => this.#ports.clock.monotonicMs(),
    });
    timers.every('sweep again', sweepAgainMs, () => (this.#hasTimers ? again.run() : undefined));
    timers.every('sweep', sweepMs, () => (this.#hasTimers ? this.#sweep() : undefined));
  }

  async stop(): Promise<void> {
    for (const timer of this.#forgetting) clearTimeout(timer);
    this.#endedCs.stop();
    await this.#release();
  }

  /** Another ds is to do it, while there is one. */
  async handOver(): Promise<void> {
    this.#handsOver = true;
    await this.#release();
  }

  /** The hand-over is taken back. */
  keep(): void {
    this.#handsOver = false;
  }

  async #release(): Promise<void> {
    if (!this.#hasTimers) return;
    this.#hasTimers = false;
    await this.#ports.ownership.release([timersThing]).catch(() => {});
  }

  async #acquire(): Promise<void> {
    const { registeredNodes, self } = this.#ports;
    if (this.#handsOver && registeredNodes.ds.some(({ id }) => id !== self)) return;
    const [owned] = await this.#ports.ownership.acquire([timersThing]);
    this.#hasTimers = owned?.owner === this.#ports.self;
  }

  #forgetLater(ds: NodeId): void {
    const { routeLog, registeredNodes, events } = this.#ports;
    const timer = setTimeout(() => {
      this.#forgetting.delete(timer);
      // Another process of that name is there.
      if (registeredNodes.aliveDs.has(ds)) return;
      routeLog.forget(ds, 'ds').catch((error: unknown) => events.unexpected('routes', error));
    }, forgetDsMs);
    this.#forgetting.add(timer);
  }

  async #sweep(): Promise<void> {
    const { routeLog } = this.#ports;
    for (let round = 0; round < sweepRoundsMax && this.#hasTimers; round += 1) {
      const queues = await routeLog.sweep(unheldMs, sweptAtOnce);
      await deleteQueues(this.#ports, queues);
      if (queues.length < sweptAtOnce) return;
    }
  }
}

/** Those that were deleted before one that cannot be may be opened anew all the same. */
export async function deleteQueues(
  ports: { drop(place: string): Promise<void>; readonly routeLog: Pick<RouteLog, 'swept'> },
  queues: readonly { readonly queue: QueueId; readonly place: string }[],
): Promise<void> {
  const deleted: QueueId[] = [];
  try {
    for (const { queue, place } of queues) {
      await ports.drop(place);
      deleted.push(queue);
    }
  } finally {
    await ports.routeLog.swept(deleted);
  }
}
