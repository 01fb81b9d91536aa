// The composition root of the standalone broker: one cs and one ds, and ops. On embedded stores the
// two are joined by direct calls. On RocketMQ and Redis they are a cs and a ds of a cluster, joined
// by gRPC as all of these are, so that further nodes can be started beside them.
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { Counters } from '@lmqtt/cs/counters';
import { startCs } from '@lmqtt/cs/service';
import type { Files } from '@lmqtt/ds/journal/files';
import { type DsService, startDs } from '@lmqtt/ds/service';

import { openDirectory, startLinkedCs } from './cs-process.ts';
import { DrainedCs, othersOf } from './drained-cs.ts';
import { type EmbeddedFunctions, openClusterDs } from './ds-process.ts';
import { clusterOpsSource, opsSource } from './ops-source.ts';
import {
  type Ports,
  type Program,
  ratesOf,
  type RunningProgram,
  serveOps,
  startProgram,
  type StartOptions,
} from './program.ts';
import { sysCounters } from './sys-counters.ts';

interface StandaloneOptions extends StartOptions, EmbeddedFunctions {
  /** For tests of durability. */
  readonly files?: Files | undefined;
  /** Called with the ds on embedded stores, before anybody is let in. */
  readonly opened?: ((ds: DsService) => void) | undefined;
}

/** Rejects where a port is in use or the store cannot be opened; then nothing is left running. */
export function startStandalone(
  settings: Settings,
  { files, auth, meta, opened, ...options }: StandaloneOptions = {},
): Promise<RunningProgram> {
  if (settings.redisUrl !== null)
    return startProgram('standalone', settings, options, (program) =>
      startOnServers(program, { auth, meta }),
    );
  return startProgram('standalone', settings, options, async (program) => {
    const { live, clock, logs, metrics, lifecycle, startedAtMs } = program;
    const counters = new Counters();
    const ds = await startDs({
      settings,
      live,
      logs,
      metrics,
      version,
      clock,
      counters: () => sysCounters(counters),
      auth,
      meta,
      ...(files === undefined ? {} : { files }),
    });
    opened?.(ds);
    lifecycle.onStop('ds', () => ds.stop());
    lifecycle.needs(() => ds.failure);
    const cs = await startCs({ settings, server: ds.link, clock, logs, metrics, counters });
    lifecycle.onStop('cs', () => {
      ds.prepareStop();
      return cs.stop();
    });
    const drained = new DrainedCs(logs.broker);
    drained.runs(cs);
    lifecycle.needs(() => (drained.draining ? 'this node drains' : null));
    const rates = ratesOf(program, () => sysCounters(counters));
    const source = opsSource(settings, cs, ds, rates, startedAtMs);
    const ops = await serveOps(program, source, drained.drain);
    return { ...cs.ports, ...ops.ports };
  });
}

async function startOnServers(program: Program, functions: EmbeddedFunctions): Promise<Ports> {
  const { ds, join, figures } = await openClusterDs(program, functions);
  const ops = await serveOps(program, clusterOpsSource(ds, ratesOf(program, figures)));
  const rpc = await join(ops);
  const drained = new DrainedCs(program.logs.broker);
  const others = othersOf(program.settings, () => ds.nodes());
  const cs = await startLinkedCs(program, openDirectory(program), drained, others);
  return { rpc, ...cs, ...ops.ports };
}
