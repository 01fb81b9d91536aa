import { systemClock } from '@lmqtt/common/clock';
import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { RocketmqQueueStore } from '@lmqtt/ds/queue-store/rocketmq/rocketmq-queue-store';
import { RocketmqStoreEvents } from '@lmqtt/ds/queue-store/rocketmq/events';
import {
  defaultStoreSettings,
  type LiveNodes,
  type RocketmqStoreSettings,
} from '@lmqtt/ds/queue-store/rocketmq/options';
import type { Ownership } from '@lmqtt/ds/registry/ownership';
import type { Records } from '@lmqtt/ds/registry/records';
import type { RocketmqClient } from '@lmqtt/ds/rocketmq/remoting/client';
import { clientOf, type NameServed } from './rocketmq-client.ts';
import {
  DetoursInMemory,
  IntentsInMemory,
  NodesInMemory,
  NumberedQueues,
  OwnershipInMemory,
  RecordsInMemory,
} from './rocketmq-ports.ts';

/** The surroundings that several stores of one test share, as ds nodes share a registry. */
export class StoreSurroundings {
  readonly records: RecordsInMemory = new RecordsInMemory();
  readonly detours: DetoursInMemory = new DetoursInMemory();
  readonly ownership: OwnershipInMemory = new OwnershipInMemory();
  readonly intents: IntentsInMemory = new IntentsInMemory();
  readonly queues: NumberedQueues;
  readonly topic: string;

  /** `name`: of the RocketMQ topic, and in the names of light queues. */
  constructor(name: string) {
    this.topic = name;
    this.queues = new NumberedQueues(name);
  }
}

/** In place of those in memory. */
export interface RegistryPorts {
  readonly nodes: LiveNodes & { readonly leaseEndsMs: number };
  readonly ownership: Ownership;
  readonly records: Records;
}

export interface OpenStore {
  readonly store: RocketmqQueueStore;
  readonly nodes: NodesInMemory;
  readonly metrics: Metrics;
  readonly client: RocketmqClient;
  close(): Promise<void>;
  /** As a process that ends. */
  crash(): void;
}

export async function openStore(
  cluster: NameServed,
  around: StoreSurroundings,
  more: {
    readonly self?: NodeId;
    readonly nodes?: NodesInMemory;
    readonly settings?: Partial<RocketmqStoreSettings>;
    readonly client?: RocketmqClient;
    readonly registry?: RegistryPorts;
    readonly events?: (metrics: Metrics) => RocketmqStoreEvents;
    readonly beforeStart?: (store: RocketmqQueueStore) => Promise<void> | void;
  } = {},
): Promise<OpenStore> {
  const { self = nodeId('ds-1'), registry } = more;
  const mayWrite =
    registry === undefined
      ? undefined
      : () => systemClock.monotonicMs() < registry.nodes.leaseEndsMs;
  const { client = clientOf(cluster, { mayWrite }) } = more;
  const { nodes = new NodesInMemory(self) } = more;
  const metrics = new Metrics();
  const store = new RocketmqQueueStore({
    client,
    self,
    nodes: registry?.nodes ?? nodes,
    ownership: registry?.ownership ?? around.ownership.of(self),
    records: registry?.records ?? around.records,
    detours: around.detours,
    intents: around.intents,
    isStored: (id) => around.intents.isStored(id),
    queues: around.queues,
    settings: {
      ...defaultStoreSettings,
      defaultTopic: around.topic,
      refreshMs: 1000,
      ...more.settings,
    },
    clock: systemClock,
    events: more.events?.(metrics) ?? new RocketmqStoreEvents(silentLogs(), metrics, systemClock),
  });
  await more.beforeStart?.(store);
  await store.start();
  return {
    store,
    nodes,
    metrics,
    client,
    close: async () => {
      await store.close();
      client.close();
    },
    crash: () => {
      client.close();
      void store.close();
    },
  };
}
