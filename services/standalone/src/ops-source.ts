// What operators see: sessions as ds keeps them, connections as cs has them.
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { nodeId } from '@lmqtt/common/ids';
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import type { CsService } from '@lmqtt/cs/service';
import type { ClientLine } from '@lmqtt/ds/clients';
import type { DsService } from '@lmqtt/ds/service';
import type { ClientStatus, NodeStatus, OpsSource } from '@lmqtt/ops/ops-source';

function statusOf({ id, connection, ...line }: ClientLine): ClientStatus {
  return {
    clientId: id,
    connection:
      connection === null
        ? null
        : {
            nodeId: nodeId(connection.node),
            address: connection.address,
            protocolLevel: connection.protocolVersion,
            userName: connection.user,
            keepAliveS: connection.keepAliveS,
            connectedAtMs: connection.connectedAtMs,
          },
    subscriptions: line.subscriptions,
    queued: line.queued,
    inflight: line.inFlight,
    lost: line.lost,
    sessionExpiryS: line.sessionExpiryS,
  };
}

function sourceOf(
  ds: DsService,
  nodes: () => NodeStatus[],
  status: (line: ClientLine) => ClientStatus,
): OpsSource {
  return {
    nodes: () => Promise.resolve(nodes()),
    clients: async ({ after, limit }) => (await ds.clients(after, limit)).map(status),
    client: async (id: ClientId) => {
      const line = await ds.client(id);
      return line === null ? null : status(line);
    },
    disconnect: (id: ClientId) => Promise.resolve(ds.disconnect(id)),
  };
}

/** Of a cs and a ds in one process. */
export function opsSource(
  settings: Settings,
  cs: CsService,
  ds: DsService,
  startedAtMs: number,
): OpsSource {
  const nodes = (): NodeStatus[] => [
    {
      nodeId: nodeId(settings.nodeId),
      roles: ['cs', 'ds', 'ops'],
      version,
      startedAtMs,
      connections: cs.node.connections.sessionCount,
      sessions: ds.sessionCount,
    },
  ];
  return sourceOf(ds, nodes, (line) => {
    const status = statusOf(line);
    const { connection } = line;
    const here = connection === null ? undefined : cs.node.connections.get(connection.session);
    // Of sessions that end with their connection nobody else knows it.
    return { ...status, inflight: here?.session?.window.count ?? status.inflight };
  });
}

/** A connection node as its last Renew told. */
export interface AttachedNode {
  readonly node: NodeId;
  readonly connections: number;
}

/** Of a ds and whatever cs nodes are attached to it. */
export function clusterOpsSource(
  settings: Settings,
  ds: DsService,
  attached: () => readonly AttachedNode[],
  startedAtMs: number,
): OpsSource {
  const nodes = (): NodeStatus[] => [
    {
      nodeId: nodeId(settings.nodeId),
      roles: ['ds', 'ops'],
      version,
      startedAtMs,
      connections: 0,
      sessions: ds.sessionCount,
    },
    ...attached().map(({ node, connections }): NodeStatus => ({
      nodeId: node,
      roles: ['cs'],
      version: null,
      startedAtMs: null,
      connections,
      sessions: 0,
    })),
  ];
  return sourceOf(ds, nodes, statusOf);
}
