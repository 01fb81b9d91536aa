// Why a program could not start, as one line for the person who started it.
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
    ...(program === 'ds' ? ofNodes : ofClients),
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

export function startFailure(program: ProgramName, settings: Settings, error: unknown): string {
  if (!isListenError(error)) return error instanceof Error ? error.message : String(error);
  const where = `${error.address}:${error.port} (${namesOf(program, settings, error.port)})`;
  if (error.code === 'EADDRINUSE') {
    return `cannot listen on ${where}: the port is in use; 0 takes any free one`;
  }
  return `cannot listen on ${where}: ${error.code}`;
}
