// One JVM of RocketMQ (name server, broker or proxy) that can go and come back: it has the same
// ports, settings and store in each of its lives.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuardedProcess } from '../guarded-process.ts';
import { mustFindProgram } from '../programs.ts';

export interface JavaOptions {
  /** -Xmx. */
  readonly heapMb?: number;
  /** Further arguments of java, after ours. */
  readonly jvmArgs?: readonly string[];
  /** Limit of open files, soft and hard; default: that of the test. */
  readonly openFilesMax?: number;
}

export interface ServerOptions extends JavaOptions {
  readonly name: string;
  readonly port: number;
  readonly lib: string;
  readonly mainClass: string;
  readonly args: readonly string[];
  /** Its settings, logs and scratch files. */
  readonly folder: string;
  /** Whether the folder goes with the server. */
  readonly isFolderOurs: boolean;
  /** Text of its settings by the name of the file, under `conf/`. */
  readonly conf: Readonly<Record<string, string>>;
  readonly readyLine: RegExp;
  /** The address that it tells its clients, where that is not its own. */
  readonly announcedHost?: string;
  /** Work for which it waits after that line. */
  readonly untilReady?: () => Promise<void>;
}

const startMs = 180_000;
const stopMs = 60_000;
const defaultHeapMb = 512;

/** RocketMQ's netty and its direct buffers reach into the JDK. */
const opened = ['java.nio', 'sun.nio.ch', 'jdk.internal.ref'].flatMap((name) => [
  '--add-opens',
  `java.base/${name}=ALL-UNNAMED`,
]);

function jvmArgsOf(options: ServerOptions): string[] {
  const { heapMb = defaultHeapMb, folder } = options;
  return [
    ...['-XX:+UseSerialGC', '-XX:-UsePerfData', `-Xms${heapMb}m`, `-Xmx${heapMb}m`],
    ...[`-XX:MaxDirectMemorySize=${Math.max(heapMb, 256)}m`, ...opened],
    ...['--add-exports', 'java.base/jdk.internal.ref=ALL-UNNAMED'],
    ...['-Dio.netty.tryReflectionSetAccessible=true', '-Djava.net.preferIPv4Stack=true'],
    ...[`-Drocketmq.home.dir=${folder}`, `-Duser.home=${folder}`],
    // Native libraries are unpacked there at each start and left behind.
    `-Djava.io.tmpdir=${join(folder, 'tmp')}`,
    ...(options.jvmArgs ?? []),
  ];
}

/** The program and its arguments, under a limit of open files. */
function limited(command: readonly string[], openFilesMax: number | undefined): string[] {
  if (openFilesMax === undefined) return [...command];
  return ['/bin/sh', '-c', 'ulimit -n "$0" && exec "$@"', String(openFilesMax), ...command];
}

export class RocketmqServer {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly folder: string;
  readonly #options: ServerOptions;
  readonly #process: GuardedProcess;

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.port = options.port;
    this.folder = options.folder;
    this.#options = options;
    this.#process = new GuardedProcess(options.name, options.isFolderOurs ? options.folder : '');
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** As a name server knows it. */
  get announcedAddress(): string {
    return `${this.#options.announcedHost ?? this.host}:${this.port}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get isStarted(): boolean {
    return this.#process.isStarted;
  }

  /** Resolves when it has ended by itself or was ended. */
  get exited(): Promise<number | null> {
    return this.#process.exited;
  }

  /** Output of the running one on its terminal; its log files are under `folder`. */
  logs(): string {
    return this.#process.logs();
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const { folder, conf, lib, mainClass, args, readyLine, untilReady } = this.#options;
    const java = mustFindProgram('java');
    rmSync(join(folder, 'tmp'), { recursive: true, force: true });
    mkdirSync(join(folder, 'tmp'), { recursive: true });
    mkdirSync(join(folder, 'conf'), { recursive: true });
    for (const [name, text] of Object.entries(conf)) writeFileSync(this.confFile(name), text);
    const command = [java, ...jvmArgsOf(this.#options), '-cp', `${lib}/*`, mainClass, ...args];
    const [program = '', ...rest] = limited(command, this.#options.openFilesMax);
    const { PATH, HOME } = process.env;
    this.#process.run({ program, args: rest, env: { PATH, HOME }, cwd: folder, ownGroup: true });
    try {
      await this.#process.printed(readyLine, startMs);
      await untilReady?.();
    } catch (error) {
      await this.kill9();
      throw error;
    }
  }

  confFile(name: string): string {
    return join(this.folder, 'conf', name);
  }

  /** SIGKILL. */
  kill9(): Promise<void> {
    return this.#process.kill();
  }

  /** SIGTERM, and the end that it takes in order. */
  async stop(): Promise<void> {
    await this.#process.end('SIGTERM', stopMs);
  }

  /** SIGSTOP: its connections stay, it does nothing until `resume`. */
  pause(): void {
    this.#process.signal('SIGSTOP');
  }

  resume(): void {
    this.#process.signal('SIGCONT');
  }

  /** Stopped in order and started again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Killed if it runs; its folder goes. */
  async close(): Promise<void> {
    await this.kill9();
    if (this.#options.isFolderOurs) rmSync(this.folder, { recursive: true, force: true });
  }
}
