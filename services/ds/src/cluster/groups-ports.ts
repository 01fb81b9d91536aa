import type { Clock } from '@lmqtt/common/clock';
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import type { DsEvents } from '../events.ts';
import type { Outlet } from '../routing/outlet.ts';
import type { Routes } from '../routing/routes.ts';
import type { CsNode } from '../sessions/cs-node.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { Undelivered } from '../use-cases/dead-letters.ts';
import type { Groups } from '../use-cases/groups.ts';
import type { SessionRights } from '../use-cases/session-rights.ts';
import type { ClusterHoldings } from './holdings.ts';

/** Ports that shared groups need. */
export interface GroupsPorts {
  readonly holdings: ClusterHoldings;
  readonly routes: Routes;
  readonly live: ReadonlyMap<ClientId, LiveSession>;
  /** By cs: where its assignments go. */
  readonly outlets: ReadonlyMap<NodeId, Outlet>;
  readonly nodes: ReadonlyMap<NodeId, CsNode>;
  readonly events: DsEvents;
  readonly clock: Clock;
  readonly rights: SessionRights;
  readonly retryIntervalMs: number;
  readonly triesMax: number;
  /** Resolves when the message is a dead letter, or is not to be. */
  undelivered(clientId: ClientId, message: Undelivered): Promise<void>;
}

/** `stop`: while this ds still is one of the cluster. */
export type StoppedGroups = Groups & {
  stop(): Promise<void>;
  /**
   * Groups without a member here go to other ds, all groups where nobody is here any more
   * (`isEmpty`); answers how many are still owned.
   */
  handOver(groupsMax: number, isEmpty: boolean): Promise<number>;
  /** The hand-over is taken back. */
  keep(): void;
};
