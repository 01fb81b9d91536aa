// The view of operators: sessions as ds keeps them, connections as cs has them.
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { nodeId } from '@lmqtt/common/ids';
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import type { CsService } from '@lmqtt/cs/service';
import type { ClientDetail } from '@lmqtt/ds/use-cases/client-detail';
import type { ClientLine } from '@lmqtt/ds/use-cases/clients';
import type { ClusterDsService } from '@lmqtt/ds/cluster-service';
import type { DsService } from '@lmqtt/ds/service';
import type { DrainOutcome } from '@lmqtt/ds/use-cases/drain-outcome';
import type {
  ClientDetailStatus,
  ClientStatus,
  NodeStatus,
  OpsSource,
} from '@lmqtt/ops/ops-source';

import { bansSource } from './bans-source.ts';
import { deadLettersSource } from './dead-letters-source.ts';
import { messagesSource } from './messages-source.ts';
import type { Rates } from './rates.ts';

function statusOf({ id, connection, ...line }: ClientLine): ClientStatus {
  return {
    clientId: id,
    connection:
      connection === null
        ? null
        : {
            nodeId: nodeId(connection.node),
            address: connection.address,
            listener: connection.listener,
            protocolLevel: connection.protocolVersion,
            userName: connection.user,
            keepAliveS: connection.keepAliveS,
            connectedAtMs: connection.connectedAtMs,
          },
    user: line.user,
    subscriptions: line.subscriptions,
    queued: line.queued,
    inflight: line.inFlight,
    lost: line.lost,
    sessionExpiryS: line.sessionExpiryS,
  };
}

function detailOf(
  detail: ClientDetail,
  status: (line: ClientLine) => ClientStatus,
): ClientDetailStatus {
  const { createdAtMs, will, subscriptionList } = detail;
  const { inboundQos2, outboundQos1, outboundQos2 } = detail;
  return {
    ...status(detail),
    ...{ createdAtMs, will, subscriptionList, inboundQos2, outboundQos1, outboundQos2 },
  };
}

/** Questions that a ds of any shape answers. */
interface Clients extends Pick<
  DsService,
  | 'clients'
  | 'client'
  | 'history'
  | 'removeSession'
  | 'operators'
  | 'deadLetters'
  | 'bans'
  | 'delayed'
  | 'cancelDelayed'
> {
  disconnect(id: ClientId): boolean | Promise<boolean>;
}

type DrainOther = (id: NodeId, draining: boolean) => DrainOutcome | Promise<DrainOutcome>;

function sourceOf(
  ds: Clients,
  rates: Rates,
  nodes: () => NodeStatus[] | Promise<NodeStatus[]>,
  drain: DrainOther,
  status: (line: ClientLine) => ClientStatus,
): OpsSource {
  return {
    nodes: async () => nodes(),
    drain: async (id, draining) => drain(id, draining),
    counters: () => rates.all(),
    clients: async ({ after, limit, filter }) => {
      const { lines, next } = await ds.clients({ after, clientsMax: limit, filter });
      return { clients: lines.map(status), next };
    },
    client: async (id) => {
      const detail = await ds.client(id);
      return detail === null ? null : detailOf(detail, status);
    },
    history: (id) => ds.history(id),
    removeSession: (id) => ds.removeSession(id),
    ...messagesSource(ds),
    disconnect: async (id: ClientId) => ds.disconnect(id),
    deadLetters: deadLettersSource(ds.deadLetters),
    bans: bansSource(ds.bans),
    delayed: (after, linesMax) => ds.delayed(after, linesMax),
    cancelDelayed: (id) => ds.cancelDelayed(id),
  };
}

/** Source of a cs and a ds in one process. */
export function opsSource(
  settings: Settings,
  cs: CsService,
  ds: DsService,
  rates: Rates,
  startedAtMs: number,
): OpsSource {
  const nodes = (): NodeStatus[] => [
    {
      id: nodeId(settings.nodeId),
      role: 'standalone',
      state: cs.draining ? 'draining' : 'alive',
      version,
      address: null,
      startedAtMs,
      leaseAgeMs: null,
      connections: cs.node.connections.sessionCount,
    },
  ];
  const drain = (): DrainOutcome => 'unknown';
  return sourceOf(ds, rates, nodes, drain, (line) => {
    const status = statusOf(line);
    const { connection } = line;
    const here = connection === null ? undefined : cs.node.connections.get(connection.session);
    // Messages in flight of a session that ends with its connection are known here alone.
    return { ...status, inflight: here?.session?.window.count ?? status.inflight };
  });
}

/** A connection node as its last Renew told. */
export interface AttachedNode {
  readonly node: NodeId;
  readonly connections: number;
  readonly draining: boolean;
  readonly about: {
    readonly version: string;
    readonly address: string;
    readonly startedAtMs: number;
  };
}

const orNull = (text: string): string | null => (text === '' ? null : text);

interface AttachedNodes {
  nodes(): readonly AttachedNode[];
  /** False: that cs is not attached. */
  drain(cs: NodeId, draining: boolean): boolean;
}

/** Source of a ds that has its own stores, and of the cs nodes that are attached to it. */
export function splitOpsSource(
  settings: Settings,
  ds: DsService,
  attached: AttachedNodes,
  rates: Rates,
  startedAtMs: number,
): OpsSource {
  const nodes = (): NodeStatus[] => [
    {
      id: nodeId(settings.nodeId),
      role: 'ds',
      state: 'alive',
      version,
      address: null,
      startedAtMs,
      leaseAgeMs: null,
      connections: 0,
    },
    ...attached.nodes().map(({ node, connections, draining, about }): NodeStatus => ({
      id: node,
      role: 'cs',
      state: draining ? 'draining' : 'alive',
      version: orNull(about.version),
      address: orNull(about.address),
      startedAtMs: about.startedAtMs === 0 ? null : about.startedAtMs,
      leaseAgeMs: null,
      connections,
    })),
  ];
  const drain = (id: NodeId, draining: boolean): DrainOutcome => {
    if (id === settings.nodeId) return draining ? 'alone' : 'asked';
    return attached.drain(id, draining) ? 'asked' : 'unknown';
  };
  return sourceOf(ds, rates, nodes, drain, statusOf);
}

interface ListedNode extends NodeStatus {
  readonly version: string;
  readonly address: string;
  readonly startedAtMs: number;
}

interface NodeList {
  list(leaseMs: number): Promise<ListedNode[]>;
}

/** All nodes, as Redis has them. */
export function nodesOf(
  directory: NodeList,
  { leaseMs }: Settings,
): () => Promise<readonly NodeStatus[]> {
  return async () =>
    (await directory.list(leaseMs)).map(({ version: named, address, startedAtMs, ...line }) => ({
      ...line,
      version: orNull(named),
      address: orNull(address),
      startedAtMs: startedAtMs === 0 ? null : startedAtMs,
    }));
}

/** Source of one of several ds: all nodes and clients. */
export function clusterOpsSource(ds: ClusterDsService, rates: Rates): OpsSource {
  const nodes = async (): Promise<NodeStatus[]> =>
    (await ds.nodes()).map((line) => ({
      id: line.id,
      role: line.role,
      state: line.state,
      version: orNull(line.version),
      address: orNull(line.address),
      startedAtMs: line.startedAtMs,
      leaseAgeMs: line.leaseAgeMs,
      connections: line.connections,
    }));
  return sourceOf(ds, rates, nodes, (id, draining) => ds.drain(id, draining), statusOf);
}
