// The broker as a program: from its settings to its end by a signal.
import { setTimeout as delay } from 'node:timers/promises';

import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import type { Settings } from '@lmqtt/common/settings/row';

import { announcement } from './announcement.ts';
import { type RunningBroker, startStandalone } from './service.ts';

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof signalNumbers;

/** One key press reaches the process twice where a parent passes the signal on. */
const samePressMs = 300;

const portSettings = ['MQTT_PORT', 'MQTT_TLS_PORT', 'WS_PORT', 'WSS_PORT', 'OPS_PORT'] as const;

/** The names of the settings that asked for a port. */
function namesOf(settings: Settings, port: number): string {
  const { mqttPort, mqttTlsPort, wsPort, wssPort, opsPort } = settings;
  const asked = [mqttPort, mqttTlsPort, wsPort, wssPort, opsPort];
  return portSettings.filter((_, index) => asked[index] === port).join(', ');
}

interface ListenError extends Error {
  readonly code: string;
  readonly address: string;
  readonly port: number;
}

function isListenError(error: unknown): error is ListenError {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}

/** A mistake in the code, not in the place where it runs. */
function isBug(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError
  );
}

/** One line for the person who started it. */
function startFailure(settings: Settings, error: unknown): string {
  if (!isListenError(error)) return error instanceof Error ? error.message : String(error);
  const where = `${error.address}:${error.port} (${namesOf(settings, error.port)})`;
  if (error.code === 'EADDRINUSE') {
    return `cannot listen on ${where}: the port is in use; 0 takes any free one`;
  }
  return `cannot listen on ${where}: ${error.code}`;
}

/** Waits for the first signal and its stop; a second one ends the process at once. */
function stopOnSignal(started: Promise<RunningBroker>, timeoutMs: number): void {
  let firstAtMs: number | undefined;
  const onSignal = (signal: StopSignal): void => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      void stopAndExit(started, timeoutMs);
    } else if (nowMs - firstAtMs > samePressMs) {
      process.exit(128 + signalNumbers[signal]);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

async function stopAndExit(started: Promise<RunningBroker>, timeoutMs: number): Promise<void> {
  const clean = started.then((broker) => broker.stop()).then(() => 0);
  const late = delay(timeoutMs, 1, { ref: false });
  process.exit(await Promise.race([clean, late]).catch(() => 1));
}

/** Throws `SettingsError`; resolves when the broker runs. Where it cannot, the process ends with 1. */
export async function runBroker(sources: Sources): Promise<void> {
  const settings = readSettings(sources);
  const started = startStandalone(settings);
  stopOnSignal(started, settings.stopTimeoutMs);
  try {
    process.stdout.write(announcement(settings, (await started).ports));
  } catch (error) {
    if (isBug(error)) throw error;
    process.stderr.write(`lmqtt: ${startFailure(settings, error)}\n`);
    // What did start may keep the process alive.
    process.exit(1);
  }
}
