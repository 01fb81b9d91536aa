// The brokers under test, each as a process of its own on a free port, and how each is started.
// Peers keep everything in memory; their limits on what is in flight are lifted, so that none of
// them drops what the workloads send.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { freePort } from '../harness/free-port.ts';
import {
  type BrokerName,
  isShape,
  type PeerName,
  type RunningBroker,
  type StartOptions,
} from './running-broker.ts';
import { isBuilt, startShape } from './shapes.ts';
import { sleep } from './wire/clock.ts';

const startMs = 15_000;

/**
 * Taken out of the environment: our broker refuses a variable of its prefix that it does not know.
 */
const rumqttdPath = process.env['RUMQTTD'];
delete process.env['RUMQTTD'];

/** Path of the program; undefined: it is not installed. */
export function programOf(name: 'mosquitto' | 'rumqttd'): string | undefined {
  if (name === 'rumqttd' && rumqttdPath !== undefined) {
    return existsSync(rumqttdPath) ? rumqttdPath : undefined;
  }
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    join(homedir(), '.cargo/bin'),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export function isAvailable(name: BrokerName): boolean {
  if (isShape(name)) return isBuilt();
  return name === 'mosquitto' || name === 'rumqttd' ? programOf(name) !== undefined : true;
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const end = performance.now() + startMs;
  while (performance.now() < end && child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port} after ${startMs} ms`);
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function running(name: PeerName, child: ChildProcess, port: number, dir?: string): RunningBroker {
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  return {
    name,
    target: { ports: [port], processes: [{ name, pid: child.pid ?? 0 }] },
    stop: async () => {
      await stopChild(child);
      process.off('exit', kill);
      if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

type Configure = (port: number) => string;

const mosquittoConfig: Configure = (port) => `listener ${port} 127.0.0.1
allow_anonymous true
user root
persistence false
log_dest none
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
max_connections -1
`;

const rumqttdConfig: Configure = (port) => `id = 0
[router]
id = 0
max_connections = 20000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "127.0.0.1:${port}"
next_connection_delay_ms = 0
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 1000
dynamic_filters = true
`;

async function startProgram(
  name: 'mosquitto' | 'rumqttd',
  file: string,
  configure: Configure,
  flags: (path: string) => string[],
): Promise<RunningBroker> {
  const program = programOf(name);
  if (program === undefined) throw new Error(`${name} is not installed`);
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'lmqtt-bench-'));
  const path = join(dir, file);
  writeFileSync(path, configure(port));
  const child = spawn(program, flags(path), { stdio: 'ignore' });
  const broker = running(name, child, port, dir);
  await listening(port, child);
  return broker;
}

async function startScript(name: PeerName, options: StartOptions): Promise<RunningBroker> {
  const { certificate } = options;
  const script = join(import.meta.dirname, 'peers', `${name}.js`);
  const args = certificate === undefined ? [] : [certificate.cert, certificate.key];
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${name} ended at once`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const match = /^ready mqtt=127\.0\.0\.1:(\d+)$/m.exec(text);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return running(name, child, port);
}

export async function start(name: BrokerName, options: StartOptions): Promise<RunningBroker> {
  switch (name) {
    case 'standalone':
    case 'split':
      return startShape(name, options);
    case 'mosquitto':
      return startProgram(name, 'mosquitto.conf', mosquittoConfig, (path) => ['-c', path]);
    case 'rumqttd':
      return startProgram(name, 'rumqttd.toml', rumqttdConfig, (path) => ['-q', '-c', path]);
    default: {
      const broker = await startScript(name, options);
      const tls = options.certificate !== undefined;
      return { ...broker, target: { ...broker.target, tls } };
    }
  }
}
