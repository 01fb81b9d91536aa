// The composition root of the ds process: a ds on embedded stores, gRPC for its cs nodes, and ops.
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { RpcEvents } from '@lmqtt/ds/rpc/rpc-events';
import { type RpcServer, startRpc } from '@lmqtt/ds/rpc/rpc-server';
import { startDs } from '@lmqtt/ds/service';

import { splitOpsSource } from './ops-source.ts';
import { type RunningProgram, serveOps, startProgram } from './program.ts';

/** Rejects where a port is in use or the store cannot be opened; then nothing is left running. */
export function startDsProcess(
  settings: Settings,
  stopping?: AbortSignal,
): Promise<RunningProgram> {
  return startProgram(settings, stopping, async (program) => {
    const { clock, logs, metrics, lifecycle, startedAtMs } = program;
    let rpc: RpcServer | undefined;
    const ds = await startDs({
      settings,
      logs,
      metrics,
      version,
      clock,
      csOutlives: true,
      counters: () => rpc?.counters() ?? {},
    });
    lifecycle.onStop('ds', () => ds.stop());
    lifecycle.needs(() => ds.failure);
    let isGathered = false;
    void ds.gathered.then(() => {
      isGathered = true;
    });
    lifecycle.needs(() => (isGathered ? null : 'gathering'));
    const nodes = (): ReturnType<RpcServer['nodes']> => rpc?.nodes() ?? [];
    const ops = await serveOps(program, splitOpsSource(settings, ds, nodes, startedAtMs));
    const events = new RpcEvents(logs, metrics, clock);
    const running = await startRpc({ settings, admission: ds.link, events, clock });
    rpc = running;
    // Before ds: no cs may be answered by one that stops.
    lifecycle.onStop('rpc', () => running.stop());
    return { rpc: running.port, ...ops };
  });
}
