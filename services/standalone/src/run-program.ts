// A program from its settings to its end by a signal.
import { setTimeout as delay } from 'node:timers/promises';

import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import type { ProgramName, Settings } from '@lmqtt/common/settings/row';
import { visible } from '@lmqtt/common/visible';

import { announcement, listeningLine } from './announcement.ts';
import type { RunningProgram, StartOptions } from './program.ts';
import { exitCodeOf, isBug, startFailure } from './start-failure.ts';

type Start = (settings: Settings, options: StartOptions) => Promise<RunningProgram>;

/** Loaded only when asked for: a cs needs no store, a ds no codec. */
const starts: Readonly<Record<ProgramName, () => Promise<Start>>> = {
  standalone: async () => (await import('./service.ts')).startStandalone,
  ds: async () => (await import('./ds-process.ts')).startDsProcess,
  cs: async () => (await import('./cs-process.ts')).startCsProcess,
};

/** Numbers of the signals that stop the program. */
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof signalNumbers;

/** One key press reaches the process twice where a parent passes the signal on. */
const samePressMs = 300;

/** Waits for the first signal and its stop; a second one ends the process at once. */
function stopOnSignal(
  started: Promise<RunningProgram>,
  stopping: AbortController,
  timeoutMs: number,
): void {
  let firstAtMs: number | undefined;
  const onSignal = (signal: StopSignal): void => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      stopping.abort();
      void stopAndExit(started, timeoutMs);
    } else if (nowMs - firstAtMs > samePressMs) {
      process.exit(128 + signalNumbers[signal]);
    }
  };
  // A terminal that is closed sends it, too.
  if (process.stdout.isTTY) process.on('SIGHUP', onSignal);
  else process.on('SIGHUP', () => void readAgain(started));
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

async function readAgain(started: Promise<RunningProgram>): Promise<void> {
  try {
    await (await started).readFilesAgain();
  } catch {
    // A program that does not start says so itself.
  }
}

async function stopAndExit(
  started: Promise<RunningProgram>,
  timeoutMs: number,
  exitCode = 0,
): Promise<void> {
  // A part that has not started by now has nothing that could fail to stop.
  const clean = started.then(
    (program) => program.stop().then(() => exitCode),
    () => exitCode,
  );
  const late = delay(timeoutMs, 1, { ref: false });
  process.exit(await Promise.race([clean, late]).catch(() => 1));
}

/** Throws `SettingsError`; resolves when it runs. Where it cannot, the process ends. */
export async function runProgram(name: ProgramName, sources: Sources): Promise<void> {
  const settings = readSettings(sources, name);
  const stopping = new AbortController();
  const started = starts[name]().then((start) =>
    start(settings, { stopping: stopping.signal, sources }),
  );
  stopOnSignal(started, stopping, settings.stopTimeoutMs);
  try {
    const { ports, failure, isReady, whenReady } = await started;
    if (stopping.signal.aborted) return;
    if (!isReady()) process.stdout.write(listeningLine(settings, ports));
    void whenReady.then(() => process.stdout.write(announcement(settings, ports)));
    void failure.then((error) => {
      process.stderr.write(`lmqtt: ${visible(error.message)}\n`);
      return stopAndExit(started, settings.stopTimeoutMs, 1);
    });
  } catch (error) {
    if (stopping.signal.aborted) return;
    if (isBug(error) || error instanceof SettingsError) throw error;
    process.stderr.write(`lmqtt: ${visible(startFailure(name, settings, error))}\n`);
    // Parts that did start may keep the process alive.
    process.exit(exitCodeOf(error));
  }
}
