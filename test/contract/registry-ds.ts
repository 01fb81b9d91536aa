// Several ds nodes on one registry, as the suites of its ports see them.
import { randomUUID } from 'node:crypto';
import type { NodeId, QueueId, QueueName } from '@lmqtt/common/ids';
import { nodeId, queueName } from '@lmqtt/common/ids';
import type { ClusterRegistry } from '@lmqtt/ds/registry/cluster-registry';
import type { EndedNode, NodeRecord } from '@lmqtt/ds/registry/nodes';
import type { ClusterRouteChange, Holder, RouteOpening } from '@lmqtt/ds/registry/route-log';
import { until } from '../harness/redis/until.ts';

/** Longer than what two busy cores hold up an event loop. */
export const leaseMs = 600;

/** A ds as the registry knows it: it keeps the routes that it is told, and holds some. */
export class TestDs {
  readonly id: NodeId;
  readonly registry: ClusterRegistry;
  readonly record: NodeRecord;
  readonly told: ClusterRouteChange[] = [];
  readonly ended: EndedNode[] = [];
  readonly leases: boolean[] = [];
  readonly holds: (RouteOpening & { readonly queue: QueueId })[] = [];
  queues: Map<QueueId, QueueName> = new Map();
  interest: Set<string> = new Set();

  constructor(id: string, registry: ClusterRegistry, instance: string = randomUUID()) {
    this.id = nodeId(id);
    this.registry = registry;
    this.record = recordOf('ds', id, instance);
    registry.nodes.onLease((held) => this.leases.push(held));
    registry.nodes.onEnded((ended) => this.ended.push(ended));
    registry.routeLog.held(() => this.holds);
  }

  async start(): Promise<this> {
    await this.registry.nodes.start(this.record);
    await this.registry.routeLog.start((change) => this.#apply(change));
    return this;
  }

  /** Routes as text, in order. */
  get routes(): string[] {
    const named = [...this.queues].map(([queue, name]) => `${queue} ${name}`);
    return [...named, ...this.interest].sort();
  }

  async open(name: string, options: { node?: string; holder?: string } = {}): Promise<QueueId> {
    const opening = openingOf(name, options.node, options.holder);
    const [queue] = await this.registry.routeLog.open([opening]);
    return queue!;
  }

  /** The same, and what it opened is told again after a loss. */
  async hold(name: string, options: { node?: string; holder?: string } = {}): Promise<QueueId> {
    const queue = await this.open(name, options);
    this.holds.push({ ...openingOf(name, options.node, options.holder), queue });
    return queue;
  }

  joinCs(id: string, instance = 'one'): Promise<void> {
    return this.registry.nodes.join(recordOf('cs', id, instance));
  }

  #apply(change: ClusterRouteChange): void {
    this.told.push(change);
    if (change.kind === 'reset') {
      this.queues = new Map();
      this.interest = new Set();
    } else if (change.kind === 'open') {
      this.queues.set(change.queue, change.name);
    } else if (change.kind === 'close') {
      this.queues.delete(change.queue);
    } else {
      const key = `${change.queue} ${change.node} ${change.ds}`;
      if (change.kind === 'interest') this.interest.add(key);
      else this.interest.delete(key);
    }
  }
}

/** A registry under test, with nodes that come and go. */
export interface RegistryUnderTest {
  /** Not started. Its connections end with the test. */
  ds(id: string, instance?: string): Promise<TestDs>;
  /** Nothing of this ds reaches the registry, until `heal`. */
  partition(ds: TestDs): void;
  heal(ds: TestDs): void;
}

export function openingOf(name: string, node?: string, holder?: string): RouteOpening {
  return {
    name: queueName(name),
    place: `place of ${name}`,
    holder: holder as Holder | undefined,
    node: node === undefined ? undefined : nodeId(node),
  };
}

export function recordOf(role: 'cs' | 'ds', id: string, instance: string): NodeRecord {
  const address = `127.0.0.1:${id.length}`;
  return { id: nodeId(id), role, instance, version: '1.0.0', address, startedAtMs: 1 };
}

export function eventually(question: () => boolean, what: string): Promise<void> {
  return until(() => Promise.resolve(question()), 15_000, what);
}
