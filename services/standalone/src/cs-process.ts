// The composition root of the cs process: a cs, its link to a ds elsewhere, and ops. No store.
import { setTimeout as delay } from 'node:timers/promises';

import type { Settings } from '@lmqtt/common/settings/row';
import { readTlsFilesNow } from '@lmqtt/common/tls-files';
import { version } from '@lmqtt/common/version';
import { Counters } from '@lmqtt/cs/counters';
import { ClusterLinkServer } from '@lmqtt/cs/link/cluster-link';
import { addressText, type Directory } from '@lmqtt/cs/link/directory';
import { FixedDirectory } from '@lmqtt/cs/link/fixed-directory';
import { DsQuestions } from '@lmqtt/cs/link/ds-questions';
import { RedisDirectory } from '@lmqtt/cs/link/redis-directory';
import { ClusterEvents } from '@lmqtt/cs/link/lane-events';
import { LinkCounters, LinkEvents } from '@lmqtt/cs/link/link-events';
import { RemoteLinkServer } from '@lmqtt/cs/link/remote-link';
import { clockOfLink } from '@lmqtt/cs/link/wall-offset';
import { type CsService, startCs } from '@lmqtt/cs/service';
import type { Forward } from '@lmqtt/ops/inner-requests';
import type { NodeStatus } from '@lmqtt/ops/ops-source';

import { DrainedCs, othersOf } from './drained-cs.ts';
import { addressOf } from './own-address.ts';
import { nodesOf } from './ops-source.ts';
import {
  type Ports,
  type Program,
  type RunningProgram,
  serveOps,
  startProgram,
  type StartOptions,
} from './program.ts';
import { sysCounters } from './sys-counters.ts';

/** So long clients find nobody rather than somebody who has to refuse them. */
const firstLinkMs = 10_000;

/**
 * Rejects where a port is in use or ds refuses this node; then nothing is left running. Without ds
 * it starts nevertheless, refuses clients, and goes on when ds has come.
 */
export function startCsProcess(
  settings: Settings,
  options: StartOptions = {},
): Promise<RunningProgram> {
  return startProgram('cs', settings, options, async (program) => {
    checkLinkFiles(settings);
    const directory = openDirectory(program);
    const nodes = directory instanceof RedisDirectory ? nodesOf(directory, settings) : undefined;
    const questions = new DsQuestions(directory, settings);
    const forward: Forward = async (request) => {
      const { address } = request.caller;
      const caller = { ...request.caller, address: `${address} at ${settings.nodeId}` };
      return questions.ask({ ...request, caller });
    };
    const asked = async (): Promise<readonly NodeStatus[]> => {
      const { nodeId: name } = settings;
      const caller = { name, role: 'viewer', user: null, address: name };
      const { body } = await questions.ask({
        caller,
        method: 'GET',
        url: '/api/v1/nodes',
        body: '',
      });
      return (JSON.parse(body) as { readonly nodes: readonly NodeStatus[] }).nodes;
    };
    const drained = new DrainedCs(program.logs.broker);
    const ops = await serveOps(program, { nodes, forward }, drained.drain);
    const others = othersOf(settings, nodes ?? asked);
    return { ...(await startLinkedCs(program, directory, drained, others)), ...ops.ports };
  });
}

/** A cs that reaches its ds over gRPC, in this process or elsewhere. */
export async function startLinkedCs(
  program: Program,
  directory: Directory,
  drained: DrainedCs,
  others: () => Promise<readonly string[]>,
): Promise<Ports> {
  const { settings, clock, logs, metrics, lifecycle, stopping, startedAtMs, fail } = program;
  const counters = new Counters();
  let cs: CsService | undefined;
  const link = {
    settings,
    directory,
    clock,
    counters: () => sysCounters(counters),
    connections: () => cs?.node.connections.sessionCount ?? 0,
    about: {
      version,
      address: clientAddressOf(settings),
      startedAtMs,
    },
    drain: drained,
  };
  const linkCounters = new LinkCounters(metrics);
  const isCluster = settings.redisUrl !== null || directory.nodes().length > 1;
  const server = isCluster
    ? new ClusterLinkServer({ ...link, events: new ClusterEvents(logs.broker, linkCounters) })
    : new RemoteLinkServer({ ...link, events: new LinkEvents(logs.broker, linkCounters) });
  const isUp = (): boolean => cs?.node.link.up === true;
  const places = (): string => directory.nodes().map(addressText).join(', ');
  const missing = (): string => {
    if (directory.nodes().length > 0) return `no link to ds at ${places()}`;
    const problem = directory instanceof RedisDirectory ? directory.problem : null;
    return problem ?? 'no ds is known';
  };
  lifecycle.needs(() => (drained.draining ? 'this node drains' : null));
  lifecycle.needs(() => (isUp() ? null : missing()));
  const firstLink = async (): Promise<void> => {
    const late = new AbortController();
    const signal = AbortSignal.any([stopping, late.signal]);
    try {
      await Promise.race([server.whenAttached, delay(firstLinkMs, undefined, { signal })]);
    } finally {
      late.abort();
    }
  };
  const running = await startCs({
    settings,
    server,
    clock: clockOfLink(clock, server),
    logs,
    metrics,
    counters,
    others,
    beforeListening: firstLink,
  });
  cs = running;
  drained.runs(running);
  // A ds that comes later may refuse it as well.
  server.whenAttached.catch(fail);
  lifecycle.onStop('cs', () => running.stop());
  return running.ports;
}

/** Address at which clients reach this node, for operators; '': none is known. */
function clientAddressOf({ advertise, bind, mqttPort, mqttTlsPort }: Settings): string {
  const port = mqttPort ?? mqttTlsPort;
  if (advertise !== null) return advertise;
  return port ? addressOf(bind, port) : '';
}

/**
 * Throws where certificate and key of the link do not belong together: no stream would ever come
 * about.
 */
function checkLinkFiles({ rpcTlsCert, rpcTlsKey, rpcTlsCa }: Settings): void {
  readTlsFilesNow({ certificate: rpcTlsCert, key: rpcTlsKey, authorities: rpcTlsCa });
}

/** Addresses of ds nodes: those of a cluster are in Redis, otherwise the settings have them. */
export function openDirectory({ settings, logs, lifecycle }: Program): Directory {
  const { redisUrl: url, redisTlsCa: tlsCa, redisTlsCert: tlsCert, redisTlsKey: tlsKey } = settings;
  if (url === null) return new FixedDirectory(settings.ds);
  const { redisCommandTimeoutMs: commandTimeoutMs, clusterId, nodeId: name } = settings;
  const redis = { url, tlsCa, tlsCert, tlsKey, commandTimeoutMs, name };
  const directory = new RedisDirectory({ redis, clusterId, log: logs.broker });
  lifecycle.onStop('directory', () => directory.close());
  return directory;
}
