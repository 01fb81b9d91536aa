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
import { atPorts, openListeners, plannedListeners } from './listeners.ts';
import type { Listeners } from './listeners.ts';
import { ConnectionNode } from './node.ts';

const firstHandleMax = 2 ** 28;
/** Part of STOP_TIMEOUT_MS in which clients are sent away. */
const drainPart = 0.4;

interface CsOptions {
  readonly settings: Settings;
  readonly server: LinkServer;
  readonly clock: Clock;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly counters: Counters;
  /** Addresses at which clients reach other nodes; rejects: not known now. Absent: there are none. */
  readonly others?: (() => Promise<readonly string[]>) | undefined;
  /** Work that must end before the listeners open; if it rejects, they do not. */
  readonly beforeListening?: (() => Promise<void>) | undefined;
}

export interface CsService {
  readonly node: ConnectionNode;
  readonly counters: Counters;
  readonly ports: Listeners['ports'];
  /** Whether it sends its clients away and takes no others. */
  readonly draining: boolean;
  /** The listeners are closed when it resolves; clients are sent away from then on. */
  drain(): Promise<void>;
  /** Rejects where a listener cannot be opened again; then it still drains. */
  undrain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a connection node and its listeners. Rejects with the socket's error (`EADDRINUSE`); then
 * nothing runs.
 */
export async function startCs(options: CsOptions): Promise<CsService> {
  const { settings, server, clock, logs, metrics, counters } = options;
  const events = new CsEvents(logs.connection, metrics, counters);
  const node = new ConnectionNode(
    nodeId(settings.nodeId),
    settings,
    settings.pendingAppendBytesMax,
    clock,
    events,
    counters,
    server,
    options.others,
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
  const open = (plan: typeof planned): Promise<Listeners> =>
    openListeners(
      settings,
      plan,
      (stream, place) => node.connections.accept(stream, place),
      (listener, event) => events.transport(listener, event),
      node.connections,
    );
  let listeners: Listeners;
  try {
    await options.beforeListening?.();
    listeners = await open(planned);
  } catch (error) {
    await stopNode();
    throw error;
  }
  const { ports } = listeners;
  const { drain } = node;
  const { drainRate, stopTimeoutMs } = settings;
  let changing: Promise<void> = Promise.resolve();
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    const changed = changing.then(change);
    changing = changed.catch(() => {});
    return changed;
  };
  return {
    node,
    counters,
    ports,
    get draining() {
      return drain.cause !== undefined;
    },
    drain: () =>
      inTurn(async () => {
        if (drain.cause !== undefined) return;
        events.drains(node.connections.sessionCount);
        void drain.begin('drains', drainRate);
        await listeners.close();
      }),
    undrain: () =>
      inTurn(async () => {
        if (drain.cause !== 'drains') return;
        listeners = await open(atPorts(planned, ports));
        drain.takeBack();
        events.drainTakenBack();
      }),
    async stop() {
      await changing;
      await listeners.close();
      await drain.begin('stops', drainRate, stopTimeoutMs * drainPart);
      await stopNode();
    },
  };
}
