import type { ClientId, NodeId, SessionHandle } from '@lmqtt/common/ids';
import type { Downstream, Link, PresentedSession, Refusal } from '@lmqtt/proto/link';

/** Facts about a node that operators see; one that it does not tell is empty or 0. */
export interface AboutNode {
  readonly version: string;
  readonly address: string;
  /** Wall clock. */
  readonly startedAtMs: number;
}

/** Functions of ds that the RPC server calls. */
export interface Admission {
  /** How long a node may act after a Renew. */
  readonly leaseMs: number;
  /** How long what is told may wait for more; 0 where publishers wait for it. */
  readonly gatherMs?: number;
  /**
   * A node with its sessions. Resolves when ds is open for business and what was accepted is
   * durable; rejects with an error named `NodeIdInUse` where another instance holds a live lease.
   */
  admit(
    downstream: Downstream,
    instance: string,
    sessions: PresentedSession[],
    about: AboutNode,
  ): Promise<{ readonly link: Link; readonly refusals: Refusal[] }>;
  /**
   * False: its lease was judged. Rejects where that cannot be learnt now: then nothing is renewed.
   * `connections`: those of its cs; `draining`: the cs sends its clients away.
   */
  renew(node: NodeId, connections: number, draining: boolean): Promise<boolean> | boolean;
  /** A planned stop of the node; `goesOn`: only of this attachment of it. */
  detach(node: NodeId, goesOn: boolean): Promise<void>;
  /**
   * Called, if a lease is not this node's alone, when nothing was heard of it for two leases, or it
   * cannot go on. Its sessions live elsewhere, or will be presented again: it is let go without a
   * word to the store.
   */
  abandoned?(node: NodeId): void;
  /** The lease of a node was judged, or the node has left. */
  onNodeEnded(listener: (node: NodeId) => void): void;
  clientOf(node: NodeId, session: SessionHandle): ClientId | undefined;
}
