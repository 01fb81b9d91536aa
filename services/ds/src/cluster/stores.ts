// The stores that a ds of a cluster works with.
import type { QueueName } from '@lmqtt/common/ids';
import type { BanStore } from '../ban-store/ban-store.ts';
import type { DelayedStore } from '../delayed-store/delayed-store.ts';
import type { PositionMirror } from '../queue-store/position-mirror.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { ClusterRegistry } from '../registry/cluster-registry.ts';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import type { RetryQueue } from '../retry-queue/retry-queue.ts';
import type { ClusterSessionStore } from '../session-store/session-store.ts';
import type { GroupsPorts, StoppedGroups } from './groups-ports.ts';
import type { Place } from './holdings.ts';
import type { ReturnedStore } from './sweep-again.ts';

/** Nodes of another make on the same store. */
export interface OtherNodes {
  /** Their clients read queues of the store, whichever those are. */
  readonly areThere: boolean;
  /** `close`: they ask for the end of a connection. */
  start(close: (clientId: string) => Promise<boolean>): Promise<void>;
  stop(): Promise<void>;
}

/** The stores of a cluster, opened and checked. */
export interface ClusterStores {
  readonly registry: ClusterRegistry;
  readonly sessionStore: ClusterSessionStore;
  readonly retained: RetainedStore & { readonly count: number; readonly bytes: number };
  readonly delayed: DelayedStore & { refresh(): Promise<void> };
  readonly banStore: BanStore;
  readonly queueStore: QueueStore;
  readonly retryQueue: RetryQueue;
  /** Mirror of the positions, where there is one. */
  readonly positions?: PositionMirror;
  /** The store's own name for a queue that is opened now. */
  placeOf(name: QueueName): Place;
  /** A queue is there: others may store for it, too. */
  opened?(name: QueueName, place: string): void;
  /** Reads what arrives from now on; after the registry has started. */
  start(): Promise<void>;
  dropPlace(place: string): Promise<void>;
  /** Nodes of another make on the same store. */
  readonly others?: OtherNodes;
  /** Stores of queues that may be there again after a crash. */
  returnedStores?(): Iterable<ReturnedStore>;
  /** The largest packet that the store takes; undefined: any, or not known yet. */
  readonly packetBytesMax?: number | undefined;
  /** Whether the store can hold any topic that this filter matches. */
  canMatch?(filter: string): boolean;
  /** Each second: what is old goes, figures are read again. */
  sweepRetained(): Promise<void>;
  groups(ports: GroupsPorts): StoppedGroups;
  /** Reason why it does not work; null: it does. */
  readonly failure: string | null;
  /** A fault with which ds still works; null: none. */
  readonly notice?: string | null;
  /** How long answers may wait, since the store is busy with what is here. */
  readonly gatherMs: number;
  close(): Promise<void>;
}
