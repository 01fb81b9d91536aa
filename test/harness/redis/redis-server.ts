// One redis-server that can go and come back: the same port, settings and files in each of its
// lives. As a cluster needs it by default: each write is on disk before its answer, and nothing is
// evicted.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../free-port.ts';
import { GuardedProcess } from '../guarded-process.ts';
import { mustFindProgram } from '../programs.ts';

export interface RedisTls {
  /** Files in PEM. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** Clients must show a certificate of that authority. */
  readonly clientCerts?: boolean;
}

export interface RedisOptions {
  readonly name?: string;
  readonly port?: number;
  /** Folder that stays; default: a temporary one. */
  readonly folder?: string;
  /** Password of the default user, or of `user` if that is given. */
  readonly password?: string;
  /** The only user there is, one who may do all. */
  readonly user?: string;
  /** Then there is no port without. */
  readonly tls?: RedisTls;
  /** Lines of redis.conf, after ours. */
  readonly conf?: readonly string[];
  /** It serves as a sentinel, without our settings of the store. */
  readonly sentinel?: boolean;
}

const startMs = 60_000;
const startsMax = 3;

function usersConf({ user, password = '' }: RedisOptions): string[] {
  if (user !== undefined) return ['user default off', `user ${user} on >${password} ~* &* +@all`];
  return password === '' ? [] : [`requirepass ${password}`, `masterauth ${password}`];
}

function listenConf(port: number, tls: RedisTls | undefined): string[] {
  if (tls === undefined) return [`port ${port}`];
  return [
    ...['port 0', `tls-port ${port}`, 'tls-replication yes', 'tls-cluster yes'],
    ...[`tls-cert-file ${tls.cert}`, `tls-key-file ${tls.key}`, `tls-ca-cert-file ${tls.ca}`],
    `tls-auth-clients ${tls.clientCerts === true ? 'yes' : 'no'}`,
  ];
}

const storeConf = [
  'appendonly yes',
  'appendfsync always',
  'maxmemory-policy noeviction',
  'save ""',
];

export class RedisServer {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly folder: string;
  readonly #options: RedisOptions;
  readonly #process: GuardedProcess;

  constructor(port: number, options: RedisOptions) {
    this.name = options.name ?? 'redis';
    this.port = port;
    this.#options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), `lmqtt-${this.name}-`));
    this.#process = new GuardedProcess(this.name, options.folder === undefined ? this.folder : '');
    mkdirSync(this.folder, { recursive: true });
    // A sentinel keeps what it has learnt in this file, which is so written once.
    writeFileSync(this.#confFile, this.#confText());
  }

  get #confFile(): string {
    return join(this.folder, 'redis.conf');
  }

  #confText(): string {
    const { tls, sentinel = false, conf = [] } = this.#options;
    const lines = [
      ...['bind 127.0.0.1', `dir ${this.folder}`, ...listenConf(this.port, tls)],
      ...(sentinel ? [] : [...storeConf, ...usersConf(this.#options)]),
      ...conf,
    ];
    return `${lines.join('\n')}\n`;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** URL with user and password, as clients take it. */
  get url(): string {
    const { tls, user = '', password = '' } = this.#options;
    const credentials = password === '' ? '' : `${user}:${password}@`;
    return `${tls === undefined ? 'redis' : 'rediss'}://${credentials}${this.address}`;
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

  logs(): string {
    return this.#process.logs();
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const program = mustFindProgram('redis-server');
    const args = [this.#confFile, ...(this.#options.sentinel === true ? ['--sentinel'] : [])];
    const { PATH, HOME } = process.env;
    this.#process.run({ program, args, env: { PATH, HOME }, cwd: this.folder, ownGroup: true });
    const readyLine =
      this.#options.sentinel === true ? /Sentinel ID is/ : /Ready to accept connections/;
    try {
      await this.#process.printed(readyLine, startMs);
    } catch (error) {
      await this.kill9();
      throw error;
    }
  }

  /** Output of redis-cli for a command. */
  async command(...args: readonly string[]): Promise<string> {
    const { tls, user, password } = this.#options;
    const flags = [
      ...['-h', this.host, '-p', String(this.port), '--no-auth-warning'],
      ...(user === undefined ? [] : ['--user', user]),
      ...(password === undefined ? [] : ['-a', password]),
      ...(tls === undefined
        ? []
        : ['--tls', '--cacert', tls.ca, '--cert', tls.cert, '--key', tls.key]),
    ];
    const { stdout } = await promisify(execFile)(mustFindProgram('redis-cli'), [...flags, ...args]);
    return stdout.trimEnd();
  }

  /** SIGKILL. */
  kill9(): Promise<void> {
    return this.#process.kill();
  }

  /** SIGTERM, and the end that it takes in order. */
  async stop(): Promise<void> {
    await this.#process.end();
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

  /** Killed if it runs; a temporary folder goes. */
  async close(): Promise<void> {
    await this.kill9();
    if (this.#options.folder !== undefined) return;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** On the port that is given, or a free one. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  for (let starts = 1; ; starts += 1) {
    const server = new RedisServer(options.port ?? (await freePort()), options);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.close();
      // Another process may take a free port first.
      const isTaken = /Address already in use/.test(String(error));
      if (!isTaken || options.port !== undefined || starts === startsMax) throw error;
    }
  }
}
