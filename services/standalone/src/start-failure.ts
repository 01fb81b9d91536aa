// Why a program could not start, as one line for the person who started it.
import { statSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';

import type { ProgramName, SettingName, Settings } from '@lmqtt/common/settings/row';

interface ListenError extends Error {
  readonly code: string;
  readonly address: string;
  readonly port: number;
}

function isListenError(error: unknown): error is ListenError {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}

type Asked = readonly (readonly [SettingName, number | null])[];

/** The names of the settings that asked for a port. */
function namesOf(program: ProgramName, settings: Settings, port: number): string {
  const ofClients: Asked = [
    ['MQTT_PORT', settings.mqttPort],
    ['MQTT_TLS_PORT', settings.mqttTlsPort],
    ['WS_PORT', settings.wsPort],
    ['WSS_PORT', settings.wssPort],
  ];
  const ofNodes: Asked = [['RPC_PORT', settings.rpcPort]];
  const asked: Asked = [
    ...(program === 'ds' ? [] : ofClients),
    ...(program === 'cs' ? [] : ofNodes),
    ['OPS_PORT', settings.opsPort],
  ];
  const names = asked.filter(([, each]) => each === port).map(([name]) => name);
  return names.join(', ');
}

/** A mistake in the code, not in the place where it runs. */
export function isBug(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError
  );
}

interface FileError extends Error {
  readonly code: string;
  readonly path: string;
}

const refusals: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS']);
const noFolders: Readonly<Record<string, string>> = {
  EEXIST: 'it, or what it is in, is no folder',
  ELOOP: 'its symbolic links lead to one another',
  ENAMETOOLONG: 'its name is too long',
  ENOENT: 'it leads to a place that does not exist',
  ENOTDIR: 'it, or what it is in, is no folder',
};

function isFileError(error: unknown): error is FileError {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return false;
  return typeof error.path === 'string' && typeof error.code === 'string';
}

/** Undefined where there is nothing, and where this user may not see whether there is. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The nearest folder that exists, whose owner and rights decide. */
function ownerOf(path: string): string {
  for (let at = resolve(path); ; at = dirname(at)) {
    const stats = statOf(at);
    if (stats !== undefined) return `${at} belongs to user ${stats.uid}`;
    if (at === dirname(at)) return 'its owner is not known';
  }
}

/** Undefined where the file is no matter of rights or of DATA_DIR. */
function fileFailure(settings: Settings, { code, path }: FileError): string | undefined {
  const folder = resolve(settings.dataDir);
  const isOfData = resolve(path).startsWith(folder);
  const noFolder = noFolders[code];
  if (isOfData && noFolder !== undefined)
    return `DATA_DIR ${settings.dataDir} cannot be used (${code}): ${noFolder}`;
  if (!refusals.has(code)) return undefined;
  if (!isOfData) return `${path} cannot be used (${code})`;
  if (code === 'EROFS') return `DATA_DIR ${settings.dataDir} is on a file system without writes`;
  const user = process.getuid?.() ?? '';
  return (
    `DATA_DIR ${settings.dataDir} cannot be written by this process (${code}): ` +
    `it runs as user ${user}, and ${ownerOf(folder)}. Give it the folder ` +
    `(chown -R ${user} ${folder}; of a container's bind mount: on the host), or name another`
  );
}

/** Exit code of the error; 1 where it has none of its own. */
export function exitCodeOf(error: unknown): number {
  const has = error instanceof Error && 'exitCode' in error;
  return has && typeof error.exitCode === 'number' ? error.exitCode : 1;
}

export function startFailure(program: ProgramName, settings: Settings, error: unknown): string {
  const ofFile = isFileError(error) ? fileFailure(settings, error) : undefined;
  if (ofFile !== undefined) return ofFile;
  if (!isListenError(error)) return error instanceof Error ? error.message : String(error);
  const where = `${error.address}:${error.port} (${namesOf(program, settings, error.port)})`;
  if (error.code === 'EADDRINUSE') {
    return `cannot listen on ${where}: the port is in use; 0 takes any free one`;
  }
  return `cannot listen on ${where}: ${error.code}`;
}
