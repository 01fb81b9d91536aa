// Several ds, each with its log of routes over one registry in memory, and the routes that each was told.
import assert from 'node:assert/strict';
import { type NodeId, nodeId, type QueueId, type QueueName, queueName } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { pause } from '@lmqtt/common/pause';
import { Membership } from '../src/registry/redis/membership.ts';
import { RegistryEvents } from '../src/registry/redis/registry-events.ts';
import { RedisRouteLog } from '../src/registry/redis/route-log.ts';
import type { ClusterRouteChange, RouteOpening } from '../src/registry/route-log.ts';
import { type MovedClock, turns } from './moved-clock.ts';
import { RouteConnection, RouteRegistry } from './route-registry.ts';

const leaseMs = 3000;

/** A ds with its log of routes, and what it was told. */
export class RouteDs {
  readonly id: NodeId;
  readonly connection: RouteConnection;
  readonly member: Membership;
  readonly log: RedisRouteLog;
  /** Names of queues by identifier, and `queue cs ds` of all interest, as they were told. */
  readonly queues: Map<QueueId, QueueName> = new Map();
  readonly interest: Set<string> = new Set();
  readonly held: (RouteOpening & { readonly queue: QueueId })[] = [];
  resets = 0;
  restored: Promise<void> | undefined;
  readonly #registry: RouteRegistry;

  constructor(name: string, registry: RouteRegistry, clock: MovedClock, others: NodeId[]) {
    this.id = nodeId(name);
    this.#registry = registry;
    this.connection = new RouteConnection(registry);
    const events = new RegistryEvents(silentLogs(), new Metrics());
    this.member = new Membership(this.connection, '', clock, leaseMs, events);
    this.member.id = this.id;
    this.#join();
    this.member.onRefusal((why) => {
      this.restored ??= this.#restore(why).finally(() => (this.restored = undefined));
    });
    this.log = new RedisRouteLog(this.member, this.connection, () => others);
    this.log.held(() => this.held);
  }

  async start(): Promise<void> {
    await this.log.start((change) => this.#told(change));
  }

  open(name: string, cs?: string, holder?: string): Promise<QueueId[]> {
    return this.log.open([openingOf(name, cs, holder)]);
  }

  /** What the registry says is what was told here. */
  check(): void {
    const { queues, pairs } = this.#registry;
    assert.deepEqual(
      new Map([...this.queues].sort(([a], [b]) => a - b)),
      new Map([...queues].map(([queue, { name }]) => [queue as QueueId, queueName(name)])),
    );
    const interest = [...pairs].flatMap(([pair, all]) => {
      const [cs, , ds] = pair.split('\0');
      return [...all].map((queue) => `${queue} ${cs} ${ds}`);
    });
    assert.deepEqual([...this.interest].toSorted(), interest.toSorted());
  }

  #join(): void {
    const join = `join-${this.id}`;
    this.member.life = this.#registry.life;
    this.member.join = join;
    this.#registry.joins.set(this.id, join);
  }

  async #restore(why: 'lost' | 'ended'): Promise<void> {
    for (;;) {
      this.#join();
      try {
        await this.log.restore(why);
        return;
      } catch {
        await pause(20);
      }
    }
  }

  /** Each change is one: nothing is told twice but after a reset. */
  #told(change: ClusterRouteChange): void {
    if (change.kind === 'reset') {
      this.resets += 1;
      this.queues.clear();
      this.interest.clear();
      return;
    }
    const { queue } = change;
    if (change.kind === 'open') {
      assert.ok(!this.queues.has(queue), `${queue} was told twice`);
      this.queues.set(queue, change.name);
    } else if (change.kind === 'close') this.queues.delete(queue);
    else {
      const name = `${queue} ${change.node} ${change.ds}`;
      const isThere = this.interest.has(name);
      assert.equal(isThere, change.kind === 'no interest', `${change.kind} ${name}`);
      if (isThere) this.interest.delete(name);
      else this.interest.add(name);
    }
  }
}

export function openingOf(name: string, cs?: string, holder?: string): RouteOpening {
  return {
    ...{ name: queueName(name), place: `%${name}` },
    holder: holder as RouteOpening['holder'],
    node: cs === undefined ? undefined : nodeId(cs),
  };
}

export class RouteFixture {
  readonly registry: RouteRegistry = new RouteRegistry();
  readonly clock: MovedClock;
  readonly all: RouteDs[];

  constructor(clock: MovedClock, names: readonly string[] = ['ds-1', 'ds-2']) {
    this.clock = clock;
    const ids = names.map((name) => nodeId(name));
    this.all = names.map(
      (name) =>
        new RouteDs(
          name,
          this.registry,
          clock,
          ids.filter((id) => id !== name),
        ),
    );
  }

  async start(): Promise<void> {
    for (const ds of this.all) {
      const started = ds.start();
      await this.clock.move(100);
      await started;
    }
    await this.quiet();
  }

  /** Words come and requests are answered, until nothing more does. */
  async quiet(): Promise<void> {
    for (let n = 0; n < 6; n += 1) {
      for (const { connection } of this.all) connection.hear(1000);
      await turns(6);
      await this.clock.move(60);
    }
  }

  /** Each ds hears with its lease how far the log is. */
  renew(): void {
    const { last } = this.registry;
    for (const { log } of this.all) void log.caughtUp(last).catch(() => undefined);
  }

  close(): void {
    for (const { log } of this.all) log.close();
  }
}
