// A ds and two cs as if they were one broker: the ports of the nodes come in turn, so that the
// clients of each test are spread over both.
import type { Broker, BrokerOptions } from './broker.ts';
import { Cluster, direct } from './cluster.ts';
import type { Settings } from './cluster-node.ts';

export class SplitBroker implements Broker {
  readonly host = '127.0.0.1';
  readonly external = false;
  readonly cluster: Cluster;
  #settings: Settings;
  #turn = 0;

  constructor(options: BrokerOptions) {
    const { settings = {}, ...rest } = options;
    this.#settings = settings;
    this.cluster = new Cluster({ ...rest, between: direct });
  }

  get pid(): number {
    return this.cluster.ds.process.pid;
  }

  get opsPort(): number {
    return this.cluster.ds.port('ops');
  }

  get dataDir(): string {
    return this.cluster.dataDir;
  }

  get died(): boolean {
    return this.cluster.died;
  }

  get lastWords(): string {
    return this.cluster.lastWords;
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
    const nodes = this.cluster.cs;
    this.#turn += 1;
    const port = nodes[this.#turn % nodes.length]?.port(listener) ?? 0;
    return port === 0 ? undefined : port;
  }

  start(): Promise<void> {
    return this.cluster.start(this.#settings);
  }

  logs(): string {
    return this.cluster.logs();
  }

  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    return this.cluster.end(signal);
  }

  stop(): Promise<number | null> {
    return this.cluster.stop();
  }

  kill(): Promise<void> {
    return this.cluster.kill();
  }

  async restart(settings: Settings = this.#settings): Promise<void> {
    await this.cluster.end();
    this.#settings = settings;
    await this.start();
  }

  metrics(): Promise<Map<string, number>> {
    return this.cluster.metrics();
  }
}
