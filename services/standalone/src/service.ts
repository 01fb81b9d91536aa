// The composition root of the standalone broker: the only file that knows which adapter stands
// behind which port.
import { Lifecycle } from '@lmqtt/common/lifecycle';
import { openLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type { Settings } from '@lmqtt/common/settings/row';
import { startOps } from '@lmqtt/ops/service';

export type ListenerName = 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'ops';

export interface RunningBroker {
  /** Only of what listens. */
  readonly ports: Readonly<Partial<Record<ListenerName, number>>>;
  stop(): Promise<void>;
}

export async function startStandalone(settings: Settings): Promise<RunningBroker> {
  const logs = await openLogs({ level: settings.logLevel });
  const metrics = new Metrics();
  const lifecycle = new Lifecycle((name, err) => logs.broker.error({ name, err }, 'stop failed'));
  metrics.watchProcess();
  const ports: Partial<Record<ListenerName, number>> = {};
  if (settings.opsPort !== null) {
    const ops = await startOps({
      bind: settings.opsBind,
      port: settings.opsPort,
      token: settings.opsToken,
      readiness: lifecycle,
      metrics,
      source: {
        nodes: () => Promise.resolve([]),
        clients: () => Promise.resolve([]),
        client: () => Promise.resolve(null),
        disconnect: () => Promise.resolve(false),
      },
      log: logs.ops,
    });
    lifecycle.onStop('ops', () => ops.close());
    ports.ops = ops.port;
  }
  lifecycle.ready();
  return { ports, stop: () => lifecycle.stop() };
}
