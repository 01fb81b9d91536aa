// What the ops role can ask about nodes and clients, and the one thing that it can do to them.
import type { ClientId, NodeId } from '@lmqtt/common/ids';

export interface NodeStatus {
  readonly nodeId: NodeId;
  readonly roles: readonly ('cs' | 'ds' | 'ops')[];
  /** `null`: the node that is asked does not know it. */
  readonly version: string | null;
  /** `null`: the node that is asked does not know it. */
  readonly startedAtMs: number | null;
  readonly connections: number;
  /** Sessions, connected or not, that this node keeps. */
  readonly sessions: number;
}

export interface ClientStatus {
  readonly clientId: ClientId;
  /** `null`: not connected. */
  readonly connection: ConnectionStatus | null;
  readonly subscriptions: number;
  /** Messages that wait for it, without those in flight. */
  readonly queued: number;
  readonly inflight: number;
  /** Messages that it was owed and lost to a limit on queues or on the log, since the start. */
  readonly lost: number;
  /** 4294967295: never. */
  readonly sessionExpiryS: number;
}

export interface ConnectionStatus {
  readonly nodeId: NodeId;
  readonly address: string;
  /** The protocol level: 3, 4 (MQTT 3.1.1) or 5. */
  readonly protocolLevel: number;
  readonly userName: string | null;
  readonly keepAliveS: number;
  readonly connectedAtMs: number;
}

export interface Page {
  /** `null`: from the beginning. */
  readonly after: ClientId | null;
  readonly limit: number;
}

/**
 * - `clients` gives those whose id is greater than `after`, in one fixed order of ids, at most
 *   `limit` of them; fewer only at the end. Sessions without a connection are among them.
 * - `client` is `null` where there is no session of that id.
 * - `disconnect` ends the connection (v5: DISCONNECT 0x98); the session stays as its expiry says.
 *   It resolves to false where the client is not connected.
 */
export interface OpsSource {
  nodes(): Promise<readonly NodeStatus[]>;
  clients(page: Page): Promise<readonly ClientStatus[]>;
  client(id: ClientId): Promise<ClientStatus | null>;
  disconnect(id: ClientId): Promise<boolean>;
}
