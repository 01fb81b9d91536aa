// The composition root of the ds process: a ds on embedded stores, or one of several on RocketMQ
// and Redis; gRPC for its cs nodes, and ops.
import type { NodeId } from '@lmqtt/common/ids';
import type { Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { type ClusterDsService, startClusterDs } from '@lmqtt/ds/cluster-service';
import { openClusterStores } from '@lmqtt/ds/cluster-stores';
import { DsEvents } from '@lmqtt/ds/events';
import { RpcEvents } from '@lmqtt/ds/rpc/rpc-events';
import { type RpcServer, startRpc } from '@lmqtt/ds/rpc/rpc-server';
import { type MetaFunctions, type ModuleFunctions, startDs } from '@lmqtt/ds/service';

import { addressOf } from './own-address.ts';
import { clusterOpsSource, splitOpsSource } from './ops-source.ts';
import {
  type Ports,
  type Program,
  ratesOf,
  type RunningProgram,
  type ServedOps,
  serveOps,
  startProgram,
  type StartOptions,
} from './program.ts';

/** Rejects where a port is in use or the store cannot be opened; then nothing is left running. */
export function startDsProcess(
  settings: Settings,
  options: StartOptions = {},
): Promise<RunningProgram> {
  const start = settings.redisUrl === null ? startAlone : startInCluster;
  return startProgram('ds', settings, options, start);
}

async function startAlone(program: Program): Promise<Ports> {
  const { settings, live, clock, logs, metrics, lifecycle, startedAtMs } = program;
  let rpc: RpcServer | undefined;
  const ds = await startDs({
    settings,
    live,
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
  const attached = {
    nodes: (): ReturnType<RpcServer['nodes']> => rpc?.nodes() ?? [],
    drain: (cs: NodeId, draining: boolean): boolean => rpc?.drain(cs, draining) ?? false,
  };
  const rates = ratesOf(program, () => rpc?.counters() ?? {});
  const ops = await serveOps(program, splitOpsSource(settings, ds, attached, rates, startedAtMs));
  const events = new RpcEvents(logs, metrics, clock);
  const running = await startRpc({
    settings,
    admission: ds.link,
    events,
    clock,
    answer: ops.answer,
  });
  rpc = running;
  // Before ds: no cs may be answered by one that stops.
  lifecycle.onStop('rpc', () => running.stop());
  return { rpc: running.port, ...ops.ports };
}

async function startInCluster(program: Program): Promise<Ports> {
  const { ds, join, figures } = await openClusterDs(program);
  const ops = await serveOps(program, clusterOpsSource(ds, ratesOf(program, figures)));
  return { rpc: await join(ops), ...ops.ports };
}

interface ClusterDs {
  readonly ds: ClusterDsService;
  /** Listens for cs nodes and joins the cluster; the port. */
  /** Counters of all cs. */
  readonly figures: () => Record<string, number>;
  readonly join: (ops: ServedOps) => Promise<number>;
}

/** Part of STOP_TIMEOUT_MS in which a ds hands over what lives there. */
const handOverPart = 0.4;

/** Functions of a program that embeds the broker, in place of modules. */
export interface EmbeddedFunctions {
  readonly auth?: ModuleFunctions | undefined;
  readonly meta?: MetaFunctions | undefined;
}

/** Waits for Redis and RocketMQ: the processes of a cluster start in any order. */
export async function openClusterDs(
  program: Program,
  { auth, meta }: EmbeddedFunctions = {},
): Promise<ClusterDs> {
  const { settings, live, clock, logs, metrics, lifecycle, stopping } = program;
  let rpc: RpcServer | undefined;
  const ds = await startClusterDs({
    settings,
    live,
    events: new DsEvents(logs, metrics, settings.clientHistoriesMax),
    auth,
    metrics,
    version,
    clock,
    openStores: (routes) =>
      openClusterStores({ settings, logs, metrics, clock, stopping, meta }, routes),
    counters: () => rpc?.counters() ?? {},
    connections: () => (rpc?.nodes() ?? []).reduce((sum, each) => sum + each.connections, 0),
    isHeard: (lane) => rpc?.isHeard(lane) ?? false,
    drainCs: (cs, draining) => rpc?.drain(cs, draining) ?? false,
  });
  lifecycle.onStop('ds', () => ds.stop());
  lifecycle.needs(() => ds.failure);
  lifecycle.needs(() => ds.awaited);
  lifecycle.needs(() => (ds.draining ? 'this node drains' : null));
  lifecycle.notes(() => ds.notice);
  const join = async ({ answer }: ServedOps): Promise<number> => {
    const events = new RpcEvents(logs, metrics, clock);
    const running = await startRpc({ settings, admission: ds.admission, events, clock, answer });
    rpc = running;
    lifecycle.onStop('rpc', () => running.stop());
    // Before rpc: cs nodes present their sessions elsewhere while this ds answers them still.
    lifecycle.onStop('hand-over', () => ds.leave(settings.stopTimeoutMs * handOverPart));
    await ds.join(settings.rpcAdvertise ?? addressOf(settings.rpcBind, running.port));
    return running.port;
  };
  return { ds, join, figures: () => rpc?.counters() ?? {} };
}
