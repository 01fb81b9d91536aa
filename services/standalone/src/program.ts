// The common part of the three programs: logs, metrics, ops, and the order of their stop.
import { systemClock, type Clock } from '@lmqtt/common/clock';
import { watchClock } from '@lmqtt/common/clock-watch';
import { closedAtLimit } from '@lmqtt/common/descriptors';
import { Lifecycle } from '@lmqtt/common/lifecycle';
import { type Logs, openLogs, setLogLevel } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readableByOthers } from '@lmqtt/common/readable-by-others';
import { LiveSettings } from '@lmqtt/common/settings/live-settings';
import type { Sources } from '@lmqtt/common/settings/read';
import type { ProgramName, Settings } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';
import { readFilesAgain } from '@lmqtt/common/watched-files';
import type { ListenerPorts } from '@lmqtt/cs/listeners';
import type { LocalSource, OpsSource, RemoteSource } from '@lmqtt/ops/ops-source';
import { type RunningOps, startOps } from '@lmqtt/ops/service';

import { localSource } from './local-source.ts';
import { Rates } from './rates.ts';
import { reloadSettings } from './settings-reload.ts';

/** Only of what listens: `mqtt`, `mqtts`, `ws`, `wss`, `rpc`, `ops`, and names of LISTENERS. */
export interface Ports extends ListenerPorts {
  readonly rpc?: number;
  readonly ops?: number;
}

export interface Program {
  readonly settings: Settings;
  /** Settings that change while the program runs. */
  readonly live: LiveSettings;
  readonly clock: Clock;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly lifecycle: Lifecycle;
  readonly startedAtMs: number;
  readonly local: LocalSource;
  /** Aborted when it is to stop before it has started. */
  readonly stopping: AbortSignal;
  /** Called when the program cannot go on, and is to end with this error. */
  readonly fail: (error: Error) => void;
}

export interface RunningProgram {
  readonly ports: Ports;
  readonly isReady: () => boolean;
  /** Resolves when it is ready for the first time; where it stops before, never. */
  readonly whenReady: Promise<void>;
  /** Resolves where it cannot go on, otherwise never. */
  readonly failure: Promise<Error>;
  /** Reads its files again, and says which have changed. */
  readFilesAgain(): Promise<void>;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Aborted when the program is to stop before it has started. */
  readonly stopping?: AbortSignal | undefined;
  /** Sources of the settings, whose files are read again when they change. */
  readonly sources?: Sources | undefined;
}

/** Rejects with what `start` rejects with; then nothing is left running. */
export async function startProgram(
  name: ProgramName,
  settings: Settings,
  { stopping, sources }: StartOptions,
  start: (program: Program) => Promise<Ports>,
): Promise<RunningProgram> {
  const startedAtMs = Date.now();
  const logs = await openLogs({ level: settings.logLevel });
  for (const note of settings.notes) logs.broker.warn(note);
  const { passwordFile, tlsKey, rpcTlsKey, redisTlsKey } = settings;
  const secrets = {
    PASSWORD_FILE: passwordFile,
    TLS_KEY: tlsKey,
    ...Object.fromEntries(
      settings.listeners.map((one) => [`tlsKey of ${one.name} in LISTENERS`, one.tlsKey]),
    ),
    RPC_TLS_KEY: rpcTlsKey,
    REDIS_TLS_KEY: redisTlsKey,
  };
  for (const line of readableByOthers(secrets)) logs.broker.warn(line);
  const metrics = new Metrics();
  const lifecycle = new Lifecycle((name, err) => logs.broker.error({ name, err }, 'stop failed'));
  metrics.watchProcess();
  metrics.gauge(
    'lmqtt_sockets_closed_at_open_files_limit',
    'Sockets closed as soon as they were accepted, because descriptors are kept for the store',
    () => closedAtLimit.count,
  );
  const stopWatch = watchClock(systemClock, (jumpedMs) => {
    const jumpedS = Math.round(jumpedMs / 1000);
    logs.broker.warn({ jumpedS }, 'the wall clock jumped; only message expiry goes by it');
  });
  lifecycle.onStop('clock', () => {
    stopWatch();
  });
  const live = new LiveSettings(settings);
  live.onChange(() => setLogLevel(logs, live.values.logLevel));
  const awaited = new Awaited(lifecycle, logs);
  let fail: (error: Error) => void = () => {};
  const failure = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  try {
    if (sources !== undefined) {
      const about = { sources, program: name, settings, live, log: logs.broker };
      const files = await reloadSettings(about);
      lifecycle.onStop('settings', () => files?.close());
    }
    const ports = await start({
      settings,
      live,
      clock: systemClock,
      logs,
      metrics,
      lifecycle,
      startedAtMs,
      local: localSource(name, settings, logs, sources),
      stopping: stopping ?? new AbortController().signal,
      fail,
    });
    lifecycle.started();
    awaited.look();
    const about = { version, node: settings.nodeId, ports };
    const isReady = (): boolean => lifecycle.state === 'ready';
    if (!isReady()) logs.broker.info(about, 'broker listens');
    void awaited.ready.then(() => logs.broker.info(about, 'broker ready'));
    const stop = (): Promise<void> => lifecycle.stop();
    const again = async (): Promise<void> => {
      const { paths, changed } = await readFilesAgain();
      logs.broker.info({ files: paths.length, changed }, 'files read again');
    };
    return { ports, failure, isReady, whenReady: awaited.ready, readFilesAgain: again, stop };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

const readyPollMs = 50;
/** Time before the program says what it waits for; most waits are shorter. */
const firstSayMs = 1000;
const sayMs = 5000;

/** Says every now and then what a program waits for that cannot serve yet. */
class Awaited {
  readonly ready: Promise<void>;
  readonly #lifecycle: Lifecycle;
  readonly #logs: Logs;
  readonly #timer: NodeJS.Timeout;
  #resolve: () => void = () => {};
  #sayAtMs = performance.now() + firstSayMs;

  constructor(lifecycle: Lifecycle, logs: Logs) {
    this.#lifecycle = lifecycle;
    this.#logs = logs;
    this.ready = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setInterval(() => this.look(), readyPollMs).unref();
  }

  look(): void {
    const { state, missing } = this.#lifecycle;
    if (state === 'ready' || state === 'stopping') {
      clearInterval(this.#timer);
      if (state === 'ready') this.#resolve();
    } else if (missing !== null && performance.now() >= this.#sayAtMs) {
      this.#sayAtMs = performance.now() + sayMs;
      this.#logs.broker.warn({ reason: missing }, 'cannot serve yet; waiting');
    }
  }
}

/** Rates of counters, for as long as the program runs. */
export function ratesOf(
  { clock, lifecycle }: Program,
  read: () => Readonly<Record<string, number>>,
): Rates {
  const rates = new Rates(clock, read);
  lifecycle.onStop('rates', () => rates.stop());
  return rates;
}

/** Metrics, health and the REST interface. */
export interface ServedOps extends Pick<RunningOps, 'answer'> {
  readonly ports: { readonly ops?: number };
}

/** `drain`: sends the clients of this process away, or takes them again. */
export async function serveOps(
  program: Program,
  source: OpsSource | RemoteSource,
  drain?: (draining: boolean) => Promise<void>,
): Promise<ServedOps> {
  const { settings, metrics, lifecycle, logs } = program;
  const ops = await startOps({
    bind: settings.opsBind,
    port: settings.opsPort,
    token: settings.opsToken,
    tokensFile: settings.opsTokensFile,
    limits: { timeoutMs: settings.opsTimeoutMs, connectionsMax: settings.opsConnectionsMax },
    readiness: lifecycle,
    metrics,
    source,
    local: { ...program.local, ...(drain && { drain }) },
    log: logs.ops,
  });
  lifecycle.onStop('ops', () => ops.close());
  return {
    ports: ops.port === 0 ? {} : { ops: ops.port },
    answer: ops.answer,
  };
}
