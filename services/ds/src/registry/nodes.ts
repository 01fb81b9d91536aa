import type { NodeId } from '@lmqtt/common/ids';

export type NodeRole = 'cs' | 'ds';

/** A process, as it says of itself. */
export interface NodeRecord {
  readonly id: NodeId;
  readonly role: NodeRole;
  /** Another process of the same id has another. */
  readonly instance: string;
  readonly version: string;
  /** Address, `host:port`: of a ds the one for cs nodes, of a cs the one for clients. */
  readonly address: string;
  /** Wall clock. */
  readonly startedAtMs: number;
}

/** A node as operators see it. */
export interface NodeLine extends NodeRecord {
  readonly state: 'alive' | 'draining' | 'gone';
  /** Since its last renewal. */
  readonly leaseAgeMs: number;
  readonly connections: number;
}

export interface EndedNode {
  readonly id: NodeId;
  readonly role: NodeRole;
  readonly instance: string;
  /** True for a node that said itself that it leaves: its wills wait for their clients. */
  readonly left: boolean;
  /** By the registry's clock, ms; of those that `takeEnded` gives. */
  readonly judged?: { readonly atMs: number; readonly leaseEndedAtMs: number };
}

/**
 * The nodes of the cluster and their leases.
 *
 * Promises
 * - A lease runs by the registry's clock, from a renewal on. One's own is counted by the monotonic
 *   clock from the moment at which the renewal was asked for, so that it ends here first.
 * - A ds judges others only after it has renewed its own lease for two leases without a break.
 * - A node that was judged stays ended: its renewals are refused until it joins anew. Another
 *   instance of a node whose lease has not ended is refused with NodeIdInUse; one that joins later
 *   is another node of the same name, and ends the earlier one where nobody has judged it.
 * - A ds whose lease ended joins anew by itself. Its lease begins again when it has applied all
 *   routes of that moment, and told again what it holds where it was judged or the registry has
 *   lost something.
 * - `onEnded` tells each end once to every ds that is alive. `takeEnded` gives each ended cs to one
 *   ds at a time, again where that ds ended before it said `settled`.
 * - Where the registry does not answer, calls reject within a bounded time; nothing is judged.
 */
export interface Nodes {
  readonly leaseMs: number;
  /** This ds joins, within two leases of an earlier process, and renews itself from now on. */
  start(self: NodeRecord): Promise<void>;
  /** End of this ds's lease, by the monotonic clock, ms; 0: it has none. */
  readonly leaseEndsMs: number;
  /** The lease has ended, or has begun (again). */
  onLease(listener: (held: boolean) => void): void;
  /** From now on no client is sent here. */
  drain(): Promise<void>;
  /** Clients are sent here again. */
  undrain(): Promise<void>;
  stop(): Promise<void>;
  /** The ds nodes that are alive and not draining, this one among them; of the last renewal. */
  readonly ds: readonly NodeRecord[];
  /** All ds that are alive, those that drain and this one among them; of the last renewal. */
  readonly aliveDs: ReadonlySet<NodeId>;
  /** `ds` has changed. */
  onChange(listener: () => void): void;
  join(cs: NodeRecord): Promise<void>;
  /** Calls of one turn are one request. False: it was judged. */
  renew(cs: NodeId, instance: string, connections: number, draining?: boolean): Promise<boolean>;
  leave(cs: NodeId, instance: string): Promise<void>;
  onEnded(listener: (ended: EndedNode) => void): void;
  takeEnded(): Promise<EndedNode[]>;
  settled(ended: EndedNode): Promise<void>;
  /** All that have a lease, and those that ended within the last hour. */
  list(): Promise<NodeLine[]>;
}
