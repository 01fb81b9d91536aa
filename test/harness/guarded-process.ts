// One process that a test starts, from its spawn to its exit code, any number of times. It cannot
// outlive the test: a guard shell holds a pipe from here, and kills it and removes its folder when
// the pipe closes, even by SIGKILL of the test.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { within } from './within.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A process group of its own, which Ctrl-C in the terminal does not reach. */
  readonly ownGroup?: boolean;
}

const stopMs = 30_000;
const shownCharacters = 2000;

/** The guards see the end of this process a moment later; a folder may be removed before. */
const running = new Set<ChildProcess>();
process.prependListener('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class GuardedProcess {
  /** For messages: `the broker`, `cs-1`. */
  readonly name: string;
  /** Goes with the process when the test dies; '': nothing does. */
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(0);
  #stdout = '';
  #stderr = '';

  constructor(name: string, folder = '') {
    this.name = name;
    this.#folder = folder;
  }

  /** Id of the process that runs, otherwise 0. */
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

  /** Output of the process that runs, or ran last. */
  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  logs(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  run(command: Command): void {
    const child = spawn(command.program, command.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: command.env,
      detached: command.ownGroup ?? false,
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    this.#child = child;
    this.#stdout = '';
    this.#stderr = '';
    this.#exited = once(child, 'exit').then(([code]) => code as number | null);
    this.#exited.catch(() => {});
    running.add(child);
    this.#watch(child.pid ?? 0);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
  }

  /** The first match of the pattern on its stdout; an error if it ends before. */
  async printed(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const stdout = this.#child?.stdout;
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.#stdout);
        if (match === null) return;
        stdout?.off('data', look);
        resolve(match);
      };
      stdout?.on('data', look);
      look();
    });
    const died = this.#exited.then((code) => {
      throw new Error(`${this.name} ended with code ${code}\n${this.logs()}`);
    });
    died.catch(() => {});
    const late = (): string => `${this.name} has not printed ${pattern}\n${this.logs()}`;
    return within(Promise.race([found, died]), timeoutMs, late);
  }

  #watch(pid: number): void {
    const script = 'read _; kill -9 "$1"; [ -z "$2" ] || { sleep 0.1; rm -rf "$2"; }';
    this.#guard = spawn('sh', ['-c', script, 'guard', String(pid), this.#folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.unref();
  }

  /** No more than the signal: SIGSTOP and SIGCONT, or one whose end somebody else awaits. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async #ended(timeoutMs: number): Promise<number | null> {
    const late = (): string => `${this.name} does not end\n${this.logs()}`;
    const code = await within(this.#exited, timeoutMs, late);
    this.#guard?.kill('SIGKILL');
    this.#guard = undefined;
    if (this.#child !== undefined) running.delete(this.#child);
    this.#child = undefined;
    return code;
  }

  /** This signal, also where it was stopped; the exit code. */
  async end(
    signal: NodeJS.Signals = 'SIGTERM',
    timeoutMs: number = stopMs,
  ): Promise<number | null> {
    if (!this.#child) return 0;
    this.#child.kill(signal);
    this.#child.kill('SIGCONT');
    try {
      return await this.#ended(timeoutMs);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (!this.#child) return;
    this.#child.kill('SIGKILL');
    await this.#ended(stopMs);
  }
}
