// Starts the broker under test as its own process, on free ports and a temporary directory, and
// hides how it is told to and where it listens. The process cannot outlive the test: a guard shell
// holds a pipe from here, and kills it and removes the directory when the pipe closes, even by
// SIGKILL of the test.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface BrokerOptions {
  /** By the names of the settings table: `{ MQTT_PORT: '0' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a temporary directory that goes at `stop`. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Flags after those of the settings. */
  readonly args?: readonly string[];
  /** Options of Node itself, before the program. */
  readonly nodeArgs?: readonly string[];
}

const root = join(import.meta.dirname, '../../..');
const startMs = 20_000;
const stopMs = 15_000;

/** Prometheus text to values, by name and labels as they are written: `name{a="b"}`. */
export function parseMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (line.startsWith('#') || space < 0) continue;
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

function within<T>(promise: Promise<T>, ms: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (${ms} ms)`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Broker {
  pid = 0;
  host = '127.0.0.1';
  mqttPort = 0;
  wsPort = 0;
  opsPort = 0;
  mqttsPort: number | undefined;
  wssPort: number | undefined;
  readonly dataDir: string;
  /** True when the tests run against a broker that somebody else has started. */
  readonly external: boolean;
  readonly #options: BrokerOptions;
  readonly #dirIsOurs: boolean;
  #settings: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(0);
  #stderr = '';
  #stdout = '';

  constructor(options: BrokerOptions, external?: string) {
    this.#options = options;
    this.#settings = options.settings ?? {};
    this.external = external !== undefined;
    this.#dirIsOurs = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'lmqtt-test-'));
    if (this.#dirIsOurs) process.on('exit', this.#removeDir);
    if (external !== undefined) this.#listen(`mqtt=${external.replaceAll(',', ' ')}`);
  }

  readonly #removeDir = (): void => {
    this.#child?.kill('SIGKILL');
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
  };

  #listen(pairs: string): void {
    for (const pair of pairs.trim().split(' ')) {
      const [key, address = ''] = pair.split('=');
      const colon = address.lastIndexOf(':');
      const port = Number(address.slice(colon + 1));
      if (key === 'mqtt') {
        this.host = address.slice(0, colon);
        this.mqttPort = port;
      }
      if (key === 'ws') this.wsPort = port;
      if (key === 'ops') this.opsPort = port;
      if (key === 'mqtts') this.mqttsPort = port;
      if (key === 'wss') this.wssPort = port;
    }
  }

  /** Settings of this harness first, so that a test may override each. */
  #flags(): string[] {
    const settings = {
      MQTT_PORT: '0',
      WS_PORT: '0',
      OPS_PORT: '0',
      DATA_DIR: this.dataDir,
      ...this.#settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => [
      `--${name.toLowerCase().replaceAll('_', '-')}`,
      value,
    ]);
    return [...flags, ...(this.#options.args ?? [])];
  }

  /** Resolves when the broker has printed its `ready` line. */
  async start(): Promise<void> {
    const main = join(root, 'services/standalone/dist/src/main.js');
    const nodeArgs = ['--enable-source-maps', ...(this.#options.nodeArgs ?? [])];
    const child = spawn(process.execPath, [...nodeArgs, main, ...this.#flags()], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.env },
    });
    this.#child = child;
    this.#stderr = '';
    this.#stdout = '';
    this.#exited = once(child, 'exit').then(([code]) => code as number | null);
    this.#watch(child.pid ?? 0);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const ready = new Promise<string>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        this.#stdout += text;
        const line = /^ready (.*)\n/m.exec(this.#stdout);
        if (line?.[1] !== undefined) resolve(line[1]);
      });
    });
    const died = this.#exited.then((code) => {
      throw new Error(`the broker ended with code ${code}\n${this.logs()}`);
    });
    died.catch(() => {});
    try {
      this.#listen(
        await within(Promise.race([ready, died]), startMs, () => `no ready line\n${this.logs()}`),
      );
    } catch (error) {
      await this.kill();
      throw error;
    }
    this.pid = child.pid ?? 0;
  }

  #watch(pid: number): void {
    const script = 'read _; kill -9 "$1"; [ -z "$2" ] || { sleep 0.1; rm -rf "$2"; }';
    const folder = this.#dirIsOurs ? this.dataDir : '';
    this.#guard = spawn('sh', ['-c', script, 'guard', String(pid), folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.unref();
  }

  /** What the running process has written: stdout, then the JSON lines of its log. */
  logs(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  /** It ended by itself; `stop` and `kill` were not called. */
  get died(): boolean {
    const child = this.#child;
    return child !== undefined && (child.exitCode !== null || child.signalCode !== null);
  }

  async #ended(): Promise<number | null> {
    const code = await within(this.#exited, stopMs, () => `broker does not end\n${this.logs()}`);
    this.#guard?.kill('SIGKILL');
    this.#guard = undefined;
    this.#child = undefined;
    return code;
  }

  /** This signal; the exit code. The directory stays, for `restart`. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child?.kill(signal);
    try {
      return await this.#ended();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGTERM; the exit code. The temporary directory goes. */
  async stop(): Promise<number | null> {
    if (this.external) return 0;
    try {
      return this.#child ? await this.end() : 0;
    } finally {
      if (this.#dirIsOurs) {
        process.off('exit', this.#removeDir);
        this.#removeDir();
      }
    }
  }

  /** SIGKILL; the directory stays, for `restart`. */
  async kill(): Promise<void> {
    if (!this.#child) return;
    this.#child.kill('SIGKILL');
    await this.#ended();
  }

  /** Starts again on the same directory, after a clean stop where it still runs; new ports. */
  async restart(settings: Readonly<Record<string, string>> = this.#settings): Promise<void> {
    if (this.external) throw new Error('a broker of somebody else cannot be restarted');
    if (this.#child) await this.end();
    this.#settings = settings;
    await this.start();
  }

  /** GET /metrics. */
  async metrics(): Promise<Map<string, number>> {
    const answer = await fetch(`http://${this.host}:${this.opsPort}/metrics`, {
      signal: AbortSignal.timeout(5000),
    });
    if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
    return parseMetrics(await answer.text());
  }
}

/**
 * A running broker. With LMQTT_TEST_BROKER=host:port[,ws=host:port] in the environment it is that
 * one instead, settings and all; what needs restart or metrics fails there.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const external = process.env['LMQTT_TEST_BROKER'];
  const broker = new Broker(options, external);
  try {
    if (external === undefined) await broker.start();
  } catch (error) {
    await broker.stop();
    throw error;
  }
  return broker;
}
