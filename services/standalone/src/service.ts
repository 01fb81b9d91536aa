// The composition root of the standalone broker: one cs and one ds joined by direct calls, and ops.
import { systemClock } from '@lmqtt/common/clock';
import { Lifecycle } from '@lmqtt/common/lifecycle';
import { openLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { Counters } from '@lmqtt/cs/counters';
import { startCs } from '@lmqtt/cs/service';
import type { CsService } from '@lmqtt/cs/service';
import type { Files } from '@lmqtt/ds/journal/files';
import { startDs } from '@lmqtt/ds/service';
import type { DsService } from '@lmqtt/ds/service';
import { startOps } from '@lmqtt/ops/service';
import { opsSource } from './ops-source.ts';
import { sysCounters } from './sys-counters.ts';

export type ListenerName = 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'ops';

export interface RunningBroker {
  /** Only of what listens. */
  readonly ports: Readonly<Partial<Record<ListenerName, number>>>;
  stop(): Promise<void>;
}

const watchStoreMs = 1000;

/** Rejects where a port is in use or the store cannot be opened; then nothing is left running. */
export async function startStandalone(settings: Settings, files?: Files): Promise<RunningBroker> {
  const startedAtMs = Date.now();
  const logs = await openLogs({ level: settings.logLevel });
  const metrics = new Metrics();
  const lifecycle = new Lifecycle((name, err) => logs.broker.error({ name, err }, 'stop failed'));
  metrics.watchProcess();
  const counters = new Counters();
  try {
    const ds = await startDs({
      settings,
      logs,
      metrics,
      version,
      clock: systemClock,
      counters: () => sysCounters(counters),
      ...(files === undefined ? {} : { files }),
    });
    lifecycle.onStop('ds', () => ds.stop());
    const cs = await startCs({
      settings,
      server: ds.link,
      clock: systemClock,
      logs,
      metrics,
      counters,
    });
    lifecycle.onStop('cs', () => {
      ds.prepareStop();
      return cs.stop();
    });
    watchStore(ds, lifecycle);
    const ops = await serveOps(settings, metrics, lifecycle, logs, cs, ds, startedAtMs);
    lifecycle.ready();
    logs.broker.info({ version, ports: cs.ports, dataDir: settings.dataDir }, 'broker ready');
    return { ports: { ...cs.ports, ...ops }, stop: () => lifecycle.stop() };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function serveOps(
  settings: Settings,
  metrics: Metrics,
  lifecycle: Lifecycle,
  logs: Awaited<ReturnType<typeof openLogs>>,
  cs: CsService,
  ds: DsService,
  startedAtMs: number,
): Promise<{ ops?: number }> {
  if (settings.opsPort === null) return {};
  const ops = await startOps({
    bind: settings.opsBind,
    port: settings.opsPort,
    token: settings.opsToken,
    readiness: lifecycle,
    metrics,
    source: opsSource(settings, cs, ds, startedAtMs),
    log: logs.ops,
  });
  lifecycle.onStop('ops', () => ops.close());
  return { ops: ops.port };
}

/** Not ready while the store refuses to write. */
function watchStore(ds: DsService, lifecycle: Lifecycle): void {
  const timer = setInterval(() => {
    if (ds.failure === null) lifecycle.recovered();
    else lifecycle.failed(ds.failure);
  }, watchStoreMs);
  lifecycle.onStop('watch of the store', () => clearInterval(timer));
}
