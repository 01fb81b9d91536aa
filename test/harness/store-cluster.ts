// Two ds and two cs on a real Redis and a real RocketMQ, as processes of their own on ports that
// stay. The servers may be shared: every cluster has its own id, and so its own names in both.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker, BrokerOptions } from './broker.ts';
import { ClusterNode, type Settings } from './cluster-node.ts';
import { sumMetrics } from './metrics.ts';

export interface StoreClusterOptions extends BrokerOptions {
  /** `redis://…`, as ds takes it; `redisUrlOf` for one of them only. */
  readonly redisUrl: string;
  /** `host:port`. */
  readonly namesrv: string;
  /** How many; default 2 each. */
  readonly ds?: number;
  readonly cs?: number;
  readonly dsSettings?: Settings;
  readonly csSettings?: Settings;
  /** Settings of one process, by its name. */
  readonly nodeSettings?: Readonly<Record<string, Settings>>;
  readonly clusterId?: string;
  /** Options of Node itself, of one kind of process instead of `nodeArgs`. */
  readonly dsNodeArgs?: readonly string[];
  readonly csNodeArgs?: readonly string[];
}

export class StoreCluster implements Broker {
  readonly host = '127.0.0.1';
  readonly external = false;
  readonly ds: readonly ClusterNode[];
  readonly cs: readonly ClusterNode[];
  readonly clusterId: string;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'lmqtt-test-'));
  #settings: Settings;
  #turn = 0;

  constructor(options: StoreClusterOptions) {
    const { redisUrl, namesrv, settings = {} } = options;
    this.#settings = settings;
    this.clusterId = options.clusterId ?? `test-${randomBytes(6).toString('hex')}`;
    const shared: Settings = {
      REDIS_URL: redisUrl,
      CLUSTER_ID: this.clusterId,
      CLUSTER_SECRET: randomBytes(16).toString('hex'),
      OPS_PORT: '0',
    };
    const node = (command: 'cs' | 'ds', index: number, own: Settings): ClusterNode => {
      const name = `${command}-${index + 1}`;
      return new ClusterNode({
        ...options,
        command,
        name,
        cwd: join(this.#folder, name),
        folder: this.#folder,
        nodeArgs: options[`${command}NodeArgs`] ?? options.nodeArgs ?? [],
        settings: { ...shared, ...own, ...options.nodeSettings?.[name] },
      });
    };
    const ds = { RPC_PORT: '0', NAMESRV_ADDR: namesrv, ...options.dsSettings };
    const cs = { MQTT_PORT: '0', WS_PORT: '0', ...options.csSettings };
    this.ds = Array.from({ length: options.ds ?? 2 }, (_, index) => node('ds', index, ds));
    this.cs = Array.from({ length: options.cs ?? 2 }, (_, index) => node('cs', index, cs));
    process.on('exit', this.#removeFolder);
  }

  get nodes(): readonly ClusterNode[] {
    return [...this.ds, ...this.cs];
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`there is no ${name}`);
    return node;
  }

  get pid(): number {
    return this.ds[0]!.process.pid;
  }

  get opsPort(): number {
    return this.ds[0]!.port('ops');
  }

  /** Nothing is kept there but what the processes print. */
  get dataDir(): string {
    return this.#folder;
  }

  get died(): boolean {
    return this.nodes.some((node) => node.process.died);
  }

  get lastWords(): string {
    const died = this.nodes.filter((node) => node.process.died);
    return died.map((node) => node.process.lastWords).join('\n');
  }

  get mqttPort(): number {
    return this.#next('mqtt') ?? 0;
  }

  get wsPort(): number {
    return this.#next('ws') ?? 0;
  }

  get mqttsPort(): number | undefined {
    return this.#next('mqtts');
  }

  get wssPort(): number | undefined {
    return this.#next('wss');
  }

  portOf(listener: string): number {
    return this.#next(listener) ?? 0;
  }

  #next(listener: string): number | undefined {
    this.#turn += 1;
    const port = this.cs[this.#turn % this.cs.length]?.port(listener) ?? 0;
    return port === 0 ? undefined : port;
  }

  /** In any order: they find one another. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start(this.#settings)));
    await this.untilReady();
  }

  async untilReady(): Promise<void> {
    const running = this.nodes.filter((node) => node.process.isStarted);
    await Promise.all(running.map((node) => node.untilReady(readyMs)));
  }

  logs(): string {
    const processes = this.nodes.map((node) => node.process);
    return [...processes.map((each) => each.stdout), ...processes.map((each) => each.stderr)].join(
      '',
    );
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const codes = await Promise.all(this.cs.map((node) => node.end(signal)));
    codes.push(...(await Promise.all(this.ds.map((node) => node.end(signal)))));
    const bad = codes.find((code) => code !== 0);
    return bad === undefined ? 0 : bad;
  }

  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  async stop(): Promise<number | null> {
    try {
      return await this.end();
    } finally {
      await this.kill();
      process.off('exit', this.#removeFolder);
      this.#removeFolder();
    }
  }

  async restart(settings: Settings = this.#settings): Promise<void> {
    await this.end();
    this.#settings = settings;
    await this.start();
  }

  async metrics(): Promise<Map<string, number>> {
    return sumMetrics(await Promise.all(this.nodes.map((node) => node.metrics())));
  }

  readonly #removeFolder = (): void => {
    for (const node of this.nodes) node.process.signal('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  };
}

/** Several clusters may start at once, on servers that have just started. */
const readyMs = 60_000;
