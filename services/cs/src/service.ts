import { randomInt } from 'node:crypto';
import type { Clock } from '@lmqtt/common/clock';
import { openFilesAdvice } from '@lmqtt/common/descriptors';
import { nodeId } from '@lmqtt/common/ids';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import type { Settings } from '@lmqtt/common/settings/row';
import type { LinkServer } from '@lmqtt/proto/link';
import type { Counters } from './counters.ts';
import { CsEvents } from './events.ts';
import { registerListenerMetrics, registerMetrics } from './metrics.ts';
import { openListeners, plannedListeners } from './listeners.ts';
import type { Listeners } from './listeners.ts';
import { CsNode } from './node.ts';

const firstHandleMax = 2 ** 28;

interface CsOptions {
  readonly settings: Settings;
  readonly server: LinkServer;
  readonly clock: Clock;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly counters: Counters;
  /** Work that must end before the listeners open; if it rejects, they do not. */
  readonly beforeListening?: (() => Promise<void>) | undefined;
}

export interface CsService {
  readonly node: CsNode;
  readonly counters: Counters;
  readonly ports: Listeners['ports'];
  stop(): Promise<void>;
}

/**
 * Starts a connection node and its listeners. Rejects with the socket's error (`EADDRINUSE`); then
 * nothing runs.
 */
export async function startCs(options: CsOptions): Promise<CsService> {
  const { settings, server, clock, logs, metrics, counters } = options;
  const events = new CsEvents(logs.connection, metrics, counters);
  const node = new CsNode(
    nodeId(settings.nodeId),
    settings,
    settings.pendingAppendBytesMax,
    clock,
    events,
    counters,
    server,
  );
  // A kick names a handle. One for a connection of this node's last run must not meet another one
  // now.
  node.connections.numberFrom(randomInt(firstHandleMax));
  const planned = plannedListeners(settings);
  registerMetrics(metrics, counters, node);
  registerListenerMetrics(
    metrics,
    planned.map(({ place }) => place),
  );
  const advice = openFilesAdvice(settings.maxConnections);
  if (advice !== undefined) logs.broker.warn(advice);
  // The other half is for what comes after it.
  const stopNode = (): Promise<void> => node.stop(settings.stopTimeoutMs / 2);
  let listeners: Listeners;
  try {
    await options.beforeListening?.();
    listeners = await openListeners(
      settings,
      planned,
      (stream, place) => node.connections.accept(stream, place),
      (listener, event) => events.transport(listener, event),
      node.connections,
    );
  } catch (error) {
    await stopNode();
    throw error;
  }
  return {
    node,
    counters,
    ports: listeners.ports,
    async stop() {
      await listeners.close();
      await stopNode();
    },
  };
}
