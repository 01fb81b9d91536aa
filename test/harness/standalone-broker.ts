// The broker as one process, on free ports and a temporary directory, or one that somebody else has
// started.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Broker, BrokerOptions } from './broker.ts';
import { fetchMetrics } from './metrics.ts';
import { type Addresses, flagsOf, parseAddresses, ServerProcess } from './process.ts';

export class StandaloneBroker implements Broker {
  host = '127.0.0.1';
  mqttPort = 0;
  wsPort = 0;
  opsPort = 0;
  mqttsPort: number | undefined;
  wssPort: number | undefined;
  readonly dataDir: string;
  readonly external: boolean;
  readonly #options: BrokerOptions;
  readonly #dirIsOurs: boolean;
  readonly #process: ServerProcess;
  #settings: Readonly<Record<string, string>>;
  #addresses: Addresses = new Map();

  constructor(options: BrokerOptions, external?: string) {
    this.#options = options;
    this.#settings = options.settings ?? {};
    this.external = external !== undefined;
    this.#dirIsOurs = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'lmqtt-test-'));
    this.#process = new ServerProcess('the broker', {
      ...options,
      folder: this.#dirIsOurs ? this.dataDir : '',
    });
    if (this.#dirIsOurs) process.on('exit', this.#removeDir);
    if (external !== undefined) {
      this.#listen(parseAddresses(`mqtt=${external.replaceAll(',', ' ')}`));
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  get died(): boolean {
    return this.#process.died;
  }

  get lastWords(): string {
    return this.#process.lastWords;
  }

  readonly #removeDir = (): void => {
    this.#process.signal('SIGKILL');
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
  };

  #listen(addresses: Addresses): void {
    this.host = addresses.get('mqtt')?.host ?? this.host;
    this.mqttPort = addresses.get('mqtt')?.port ?? this.mqttPort;
    this.wsPort = addresses.get('ws')?.port ?? this.wsPort;
    this.opsPort = addresses.get('ops')?.port ?? this.opsPort;
    this.mqttsPort = addresses.get('mqtts')?.port;
    this.wssPort = addresses.get('wss')?.port;
    this.#addresses = addresses;
  }

  portOf(listener: string): number {
    return this.#addresses.get(listener)?.port ?? 0;
  }

  /** Settings of this harness first, so that a test may override each. */
  async start(): Promise<void> {
    const ports = { MQTT_PORT: '0', WS_PORT: '0', OPS_PORT: '0' };
    const settings = { ...ports, DATA_DIR: this.dataDir, ...this.#settings };
    const args = [...flagsOf(settings), ...(this.#options.args ?? [])];
    this.#listen(await this.#process.start(args));
  }

  logs(): string {
    return this.#process.logs();
  }

  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    return this.#process.end(signal);
  }

  async stop(): Promise<number | null> {
    if (this.external) return 0;
    try {
      return await this.#process.end();
    } finally {
      if (this.#dirIsOurs) {
        process.off('exit', this.#removeDir);
        this.#removeDir();
      }
    }
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  async restart(settings: Readonly<Record<string, string>> = this.#settings): Promise<void> {
    if (this.external) throw new Error('a broker of somebody else cannot be restarted');
    await this.#process.end();
    this.#settings = settings;
    await this.start();
  }

  metrics(): Promise<Map<string, number>> {
    return fetchMetrics(this.host, this.opsPort);
  }
}
