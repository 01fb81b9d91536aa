// A ds and several cs as processes of their own, on ports that stay, with whatever a test puts
// between each cs and ds. Nothing of it outlives the test.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClusterNode, type Settings } from './cluster-node.ts';
import { sumMetrics } from './metrics.ts';
import type { Address } from './process.ts';

/** A proxy between one cs and ds. */
export interface LinkProxy {
  readonly port: number;
  stop(): Promise<void>;
}

/** Nothing stands there. */
export const direct = (target: Address): Promise<LinkProxy> =>
  Promise.resolve({ port: target.port, stop: () => Promise.resolve() });

export interface ClusterOptions<P extends LinkProxy> {
  /** How many; default 2. */
  readonly cs?: number;
  /** Settings of all processes; each takes those that concern it. */
  readonly settings?: Settings;
  readonly dsSettings?: Settings;
  readonly csSettings?: Settings;
  /** Made for each cs: {@link direct}, `TcpProxy.start`, `FrameProxy.start`. */
  readonly between: (target: Address) => Promise<P>;
  /** Data folder of ds. Default: a temporary directory that goes at `stop`. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of each process, after those of the settings. */
  readonly args?: readonly string[];
  /** Options of Node itself, before the program: of all processes, or of one kind instead. */
  readonly nodeArgs?: readonly string[];
  readonly dsNodeArgs?: readonly string[];
  readonly csNodeArgs?: readonly string[];
}

export class Cluster<P extends LinkProxy = LinkProxy> {
  readonly ds: ClusterNode;
  readonly dataDir: string;
  readonly secret: string = randomBytes(16).toString('hex');
  readonly #options: ClusterOptions<P>;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'lmqtt-test-'));
  #cs: readonly ClusterNode[] = [];
  #proxies: readonly P[] = [];

  constructor(options: ClusterOptions<P>) {
    this.#options = options;
    this.dataDir = options.dataDir ?? join(this.#folder, 'data');
    process.on('exit', this.#removeFolder);
    this.ds = new ClusterNode({
      ...options,
      command: 'ds',
      name: 'ds-1',
      cwd: join(this.#folder, 'ds-1'),
      folder: this.#folder,
      nodeArgs: options.dsNodeArgs ?? options.nodeArgs ?? [],
      settings: {
        RPC_PORT: '0',
        OPS_PORT: '0',
        CLUSTER_SECRET: this.secret,
        DATA_DIR: this.dataDir,
        ...options.settings,
        ...options.dsSettings,
      },
    });
  }

  /** In the order of their names, cs-1 first. */
  get cs(): readonly ClusterNode[] {
    return this.#cs;
  }

  /** Proxies of each cs, in the same order. */
  get proxies(): readonly P[] {
    return this.#proxies;
  }

  get nodes(): readonly ClusterNode[] {
    return [this.ds, ...this.#cs];
  }

  /** cs-`number`, from 1. */
  node(number: number): ClusterNode {
    const node = this.#cs[number - 1];
    if (node === undefined) throw new Error(`there is no cs-${number}`);
    return node;
  }

  proxy(number: number): P {
    const proxy = this.#proxies[number - 1];
    if (proxy === undefined) throw new Error(`there is no cs-${number}`);
    return proxy;
  }

  /** A further cs, not started; its proxy is the last one. */
  async add(settings: Settings = {}): Promise<ClusterNode> {
    const target = { host: '127.0.0.1', port: await this.ds.portOf('RPC_PORT') };
    const proxy = await this.#options.between(target);
    const name = `cs-${this.#cs.length + 1}`;
    const node = new ClusterNode({
      ...this.#options,
      command: 'cs',
      name,
      cwd: join(this.#folder, name),
      nodeArgs: this.#options.csNodeArgs ?? this.#options.nodeArgs ?? [],
      settings: {
        DS: `127.0.0.1:${proxy.port}`,
        MQTT_PORT: '0',
        WS_PORT: '0',
        OPS_PORT: '0',
        CLUSTER_SECRET: this.secret,
        ...this.#options.settings,
        ...this.#options.csSettings,
        ...settings,
      },
    });
    this.#proxies = [...this.#proxies, proxy];
    this.#cs = [...this.#cs, node];
    return node;
  }

  /** All processes, ds first, with these settings instead of some of their own. */
  async start(settings: Settings = {}): Promise<void> {
    while (this.#cs.length < (this.#options.cs ?? 2)) await this.add();
    await this.ds.start(settings);
    await Promise.all(this.#cs.map((node) => node.start(settings)));
  }

  /** Every cs that runs has its link to ds. */
  async untilReady(): Promise<void> {
    const running = this.#cs.filter((node) => node.process.isStarted);
    await Promise.all(running.map((node) => node.untilReady()));
  }

  /** stdout of all, then the JSON lines of all. */
  logs(): string {
    const processes = this.nodes.map((node) => node.process);
    return [...processes.map((each) => each.stdout), ...processes.map((each) => each.stderr)].join(
      '',
    );
  }

  get died(): boolean {
    return this.nodes.some((node) => node.process.died);
  }

  /** Last words of the processes that ended by themselves. */
  get lastWords(): string {
    return this.nodes
      .filter((node) => node.process.died)
      .map((node) => node.process.lastWords)
      .join('\n');
  }

  /** The cs first, then ds; the first exit code that is not 0. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const codes = await Promise.all(this.#cs.map((node) => node.end(signal)));
    codes.push(await this.ds.end(signal));
    const bad = codes.find((code) => code !== 0);
    return bad === undefined ? 0 : bad;
  }

  /** All at once. */
  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  /** Added up over all processes. */
  async metrics(): Promise<Map<string, number>> {
    return sumMetrics(await Promise.all(this.nodes.map((node) => node.metrics())));
  }

  /** SIGTERM; the exit code. Proxies and the temporary directory go. */
  async stop(): Promise<number | null> {
    try {
      return await this.end();
    } finally {
      await this.kill();
      await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
      process.off('exit', this.#removeFolder);
      this.#removeFolder();
    }
  }

  readonly #removeFolder = (): void => {
    for (const node of this.nodes) node.process.signal('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  };
}

/** A running cluster; without `between` nothing stands between its processes. */
export async function startCluster(
  options?: Omit<ClusterOptions<LinkProxy>, 'between'>,
): Promise<Cluster>;
export async function startCluster<P extends LinkProxy>(
  options: ClusterOptions<P>,
): Promise<Cluster<P>>;
export async function startCluster(
  options: Partial<ClusterOptions<LinkProxy>> = {},
): Promise<Cluster> {
  const cluster = new Cluster({ between: direct, ...options });
  try {
    await cluster.start();
  } catch (error) {
    await cluster.stop().catch(() => undefined);
    throw error;
  }
  return cluster;
}
