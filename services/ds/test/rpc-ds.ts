import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@lmqtt/common/clock';
import { openLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import type { Admission } from '../src/rpc/admission.ts';
import { RpcEvents } from '../src/rpc/rpc-events.ts';
import { type RpcServer, startRpc } from '../src/rpc/rpc-server.ts';
import { type DsService, startDs } from '../src/service.ts';

/** A ds with its RPC server, as the program `ds` has them. */
export interface RpcDs {
  readonly ds: DsService;
  readonly rpc: RpcServer;
  readonly port: number;
  /** Lines of the log at warn and above. */
  readonly lines: string[];
  /** Prometheus' text. */
  metrics(): Promise<string>;
  /** Stops as planned and starts again on the same folder and port. */
  restart(): Promise<RpcDs>;
  stop(): Promise<void>;
}

export async function startRpcDs(
  settings: Record<string, string | number> = {},
  directory?: string,
  admissionOf: (link: Admission) => Admission = (link) => link,
): Promise<RpcDs> {
  const folder = directory ?? (await mkdtemp(join(tmpdir(), 'lmqtt-rpc-')));
  const given: Record<string, string | number> = {
    'data-dir': folder,
    'rpc-port': 0,
    'lease-ms': 1000,
    ...settings,
  };
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const read = readSettings({ args, environment: {} }, 'ds');
  const lines: string[] = [];
  const logs = await openLogs({
    level: 'warn',
    stream: { write: (line) => void lines.push(line) },
  });
  const metrics = new Metrics();
  const ds = await startDs({
    settings: read,
    logs,
    metrics,
    clock: systemClock,
    version: 'test',
    csOutlives: true,
  });
  const rpc = await startRpc({
    settings: read,
    admission: admissionOf(ds.link),
    events: new RpcEvents(logs, metrics, systemClock),
    clock: systemClock,
  });
  const end = async (): Promise<void> => {
    ds.prepareStop();
    await rpc.stop();
    await ds.stop();
  };
  return {
    ds,
    rpc,
    port: rpc.port,
    lines,
    metrics: () => metrics.registry.metrics(),
    async restart() {
      await end();
      return startRpcDs({ ...settings, 'rpc-port': rpc.port }, folder, admissionOf);
    },
    async stop() {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
