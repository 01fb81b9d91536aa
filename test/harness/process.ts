// One process of the program under test, from its spawn to its exit code. It cannot outlive the
// test: a guard shell holds a pipe from here, and kills it and removes its folder when the pipe
// closes, even by SIGKILL of the test.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a process listens on, by the names of its `ready` line: `mqtt`, `ops`, `rpc`, … */
export type Addresses = ReadonlyMap<string, Address>;

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node itself, before the program. */
  readonly nodeArgs?: readonly string[];
  /** The program's working directory; default: that of the test. */
  readonly cwd?: string;
  /** Goes with the process when the test dies; '': nothing does. */
  readonly folder?: string;
}

/** The `lmqtt` command. */
export const programPath: string = join(
  import.meta.dirname,
  '../../../services/standalone/dist/src/main.js',
);

const startMs = 60_000;
const stopMs = 30_000;
const shownCharacters = 2000;

/** By the names of the settings table, as flags: `{ MQTT_PORT: '0' }`. */
export function flagsOf(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [
    `--${name.toLowerCase().replaceAll('_', '-')}`,
    value,
  ]);
}

/** `mqtt=127.0.0.1:1 ops=127.0.0.1:2`, as after `ready`. */
export function parseAddresses(pairs: string): Addresses {
  const addresses = new Map<string, Address>();
  for (const pair of pairs.trim().split(' ')) {
    const [name = '', address = ''] = pair.split('=');
    const colon = address.lastIndexOf(':');
    addresses.set(name, { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  }
  return addresses;
}

export function within<T>(promise: Promise<T>, ms: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (${ms} ms)`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class ServerProcess {
  /** For messages: `the broker`, `cs-1`. */
  readonly name: string;
  readonly #surroundings: Surroundings;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(0);
  #stdout = '';
  #stderr = '';

  constructor(name: string, surroundings: Surroundings = {}) {
    this.name = name;
    this.#surroundings = surroundings;
  }

  /** Of the one that runs, otherwise 0. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** It was started, and `end` and `kill` have not been called since. */
  get isStarted(): boolean {
    return this.#child !== undefined;
  }

  /** It ended by itself. */
  get died(): boolean {
    const child = this.#child;
    return child !== undefined && (child.exitCode !== null || child.signalCode !== null);
  }

  /** How it ended by itself, and the end of what it wrote. */
  get lastWords(): string {
    const { exitCode = null, signalCode = null } = this.#child ?? {};
    const how = signalCode === null ? `with code ${exitCode}` : `by ${signalCode}`;
    return `${this.name} has ended ${how}; the end of its log:\n${this.logs().slice(-shownCharacters)}`;
  }

  /** The exit code of the one that was started last, when it has ended; null: by a signal. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  /** Of the process that runs, or ran last. */
  get stdout(): string {
    return this.#stdout;
  }

  /** JSON lines of its log. */
  get stderr(): string {
    return this.#stderr;
  }

  logs(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  /** Without waiting for `ready`: the arguments follow the program's name. */
  spawn(args: readonly string[]): void {
    const { env, nodeArgs = [], cwd } = this.#surroundings;
    const command = ['--enable-source-maps', ...nodeArgs, programPath, ...args];
    const child = spawn(process.execPath, command, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#child = child;
    this.#stdout = '';
    this.#stderr = '';
    this.#exited = once(child, 'exit').then(([code]) => code as number | null);
    this.#exited.catch(() => {});
    process.on('exit', this.#killNow);
    this.#watch(child.pid ?? 0);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
  }

  /** Resolves when it has printed its `ready` line; where that does not come it is killed. */
  async start(args: readonly string[]): Promise<Addresses> {
    this.spawn(args);
    try {
      return await this.ready();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** What the `ready` line says. */
  async ready(timeoutMs: number = startMs): Promise<Addresses> {
    const line = new Promise<string>((resolve) => {
      const look = (): void => {
        const found = /^ready (.*)\n/m.exec(this.#stdout);
        if (found?.[1] !== undefined) resolve(found[1]);
      };
      this.#child?.stdout?.on('data', look);
      look();
    });
    const died = this.#exited.then((code) => {
      throw new Error(`${this.name} ended with code ${code}\n${this.logs()}`);
    });
    died.catch(() => {});
    const late = (): string => `no ready line of ${this.name}\n${this.logs()}`;
    return parseAddresses(await within(Promise.race([line, died]), timeoutMs, late));
  }

  readonly #killNow = (): void => {
    this.#child?.kill('SIGKILL');
  };

  #watch(pid: number): void {
    const script = 'read _; kill -9 "$1"; [ -z "$2" ] || { sleep 0.1; rm -rf "$2"; }';
    const folder = this.#surroundings.folder ?? '';
    this.#guard = spawn('sh', ['-c', script, 'guard', String(pid), folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.unref();
  }

  /** No more than the signal: SIGSTOP and SIGCONT, or one whose end somebody else awaits. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async #ended(): Promise<number | null> {
    const late = (): string => `${this.name} does not end\n${this.logs()}`;
    const code = await within(this.#exited, stopMs, late);
    this.#guard?.kill('SIGKILL');
    this.#guard = undefined;
    this.#child = undefined;
    process.off('exit', this.#killNow);
    return code;
  }

  /** This signal, also where it was stopped; the exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.#child) return 0;
    this.#child.kill(signal);
    this.#child.kill('SIGCONT');
    try {
      return await this.#ended();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (!this.#child) return;
    this.#child.kill('SIGKILL');
    await this.#ended();
  }
}
