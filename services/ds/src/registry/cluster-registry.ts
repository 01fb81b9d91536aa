import type { Detours } from './detours.ts';
import type { Inbox } from './inbox.ts';
import type { Nodes } from './nodes.ts';
import type { Ownership } from './ownership.ts';
import type { Records } from './records.ts';
import type { RouteLog } from './route-log.ts';

/**
 * The registry of a cluster. The order at the start: `nodes.start`, `routeLog.start`, then the
 * others. At the end: `nodes.stop`, then `close`.
 */
export interface ClusterRegistry {
  readonly nodes: Nodes;
  readonly routeLog: RouteLog;
  readonly ownership: Ownership;
  readonly inbox: Inbox;
  readonly records: Records;
  readonly detours: Detours;
  /** Closes the registry's own connections; calls under way are rejected. */
  close(): void;
}
