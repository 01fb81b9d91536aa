import type { ClientId } from '@lmqtt/common/ids';
import { nodeId } from '@lmqtt/common/ids';
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import type { CsService } from '@lmqtt/cs/service';
import type { ClientLine } from '@lmqtt/ds/clients';
import type { DsService } from '@lmqtt/ds/service';
import type { ClientStatus, OpsSource } from '@lmqtt/ops/ops-source';

/** What operators see of one process: sessions as ds keeps them, connections as cs has them. */
export function opsSource(
  settings: Settings,
  cs: CsService,
  ds: DsService,
  startedAtMs: number,
): OpsSource {
  const status = (line: ClientLine): ClientStatus => {
    const { connection } = line;
    const here = connection === null ? undefined : cs.node.connection(connection.session);
    return {
      clientId: line.id,
      connection:
        connection === null
          ? null
          : {
              nodeId: nodeId(connection.node),
              address: connection.address,
              protocolLevel: connection.protocolVersion,
              userName: connection.user,
              keepAliveS: here?.keepAliveS ?? 0,
              connectedAtMs: here?.connectedAtMs ?? 0,
            },
      subscriptions: line.subscriptions,
      queued: line.queued,
      inflight: here?.session?.window.count ?? line.inFlight,
      lost: line.lost,
      sessionExpiryS: line.sessionExpiryS,
    };
  };
  return {
    nodes: () =>
      Promise.resolve([
        {
          nodeId: nodeId(settings.nodeId),
          roles: ['cs', 'ds', 'ops'],
          version,
          startedAtMs,
          connections: cs.node.sessionCount,
          sessions: ds.sessionCount,
        },
      ]),
    clients: async ({ after, limit }) => (await ds.clients(after, limit)).map(status),
    client: async (id: ClientId) => {
      const line = await ds.client(id);
      return line === null ? null : status(line);
    },
    disconnect: (id: ClientId) => Promise.resolve(ds.disconnect(id)),
  };
}
