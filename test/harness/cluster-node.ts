// One process of a cluster, cs or ds, that can go and come back: it listens on the same ports in
// each of its lives, so that clients and the other processes find it again.
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { fetchMetrics } from './metrics.ts';
import { type Addresses, flagsOf, ServerProcess, type Surroundings } from './process.ts';

const readyMs = 60_000;
const lookMs = 20;
const shownCharacters = 2000;

export type Settings = Readonly<Record<string, string>>;

export interface NodeOptions extends Omit<Surroundings, 'cwd'> {
  readonly command: 'cs' | 'ds';
  /** Its NODE_ID. */
  readonly name: string;
  /** Its working directory, made when absent. */
  readonly cwd: string;
  /** Ports are given as '0': any free one, chosen once. */
  readonly settings: Settings;
  /** Flags after those of the settings. */
  readonly args?: readonly string[];
}

export class ClusterNode {
  readonly name: string;
  readonly cwd: string;
  readonly host = '127.0.0.1';
  readonly process: ServerProcess;
  readonly #options: NodeOptions;
  readonly #ports = new Map<string, string>();
  #settings: Settings = {};
  #addresses: Addresses = new Map();

  constructor(options: NodeOptions) {
    this.name = options.name;
    this.cwd = options.cwd;
    this.#options = options;
    mkdirSync(options.cwd, { recursive: true });
    this.process = new ServerProcess(options.name, options);
  }

  /** Port of a listener by its name in the `ready` line; 0: it has none. */
  port(listener: string): number {
    return this.#addresses.get(listener)?.port ?? 0;
  }

  /** The arguments of its command, with these settings instead of some of its own. */
  async args(settings: Settings = {}): Promise<string[]> {
    const all: Record<string, string> = {
      NODE_ID: this.name,
      ...this.#options.settings,
      ...settings,
    };
    for (const [name, value] of Object.entries(all)) {
      if (!name.endsWith('_PORT') || value !== '0') continue;
      const port = this.#ports.get(name) ?? String(await freePort());
      this.#ports.set(name, port);
      all[name] = port;
    }
    return [this.#options.command, ...flagsOf(all), ...(this.#options.args ?? [])];
  }

  /** The port that a setting such as RPC_PORT has in all lives of the process. */
  async portOf(setting: string): Promise<number> {
    await this.args();
    return Number(this.#ports.get(setting));
  }

  /** Resolves with its `ready` line. Started again it has the settings of its last start. */
  async start(settings: Settings = this.#settings): Promise<void> {
    this.#settings = settings;
    this.#addresses = await this.process.start(await this.args(settings));
  }

  /** It is ready, as /readyz says: of a cs, its link is up. */
  async untilReady(timeoutMs: number = readyMs): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      if (this.process.died) throw new Error(this.process.lastWords);
      const answer = await this.fetch('/readyz').catch(() => undefined);
      const said = (await answer?.text())?.trimEnd() ?? 'no answer';
      if (answer?.status === 200) return;
      if (performance.now() > endMs) {
        const log = this.process.logs().slice(-shownCharacters);
        throw new Error(`${this.name}: ${said} (${timeoutMs} ms); the end of its log:\n${log}`);
      }
      await delay(lookMs);
    }
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    return this.process.end(signal);
  }

  /** SIGSTOP: alive, but it does nothing until `thaw`. */
  freeze(): void {
    this.process.signal('SIGSTOP');
  }

  thaw(): void {
    this.process.signal('SIGCONT');
  }

  metrics(): Promise<Map<string, number>> {
    return fetchMetrics(this.host, this.port('ops'));
  }

  /** Its ops listener. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://${this.host}:${this.port('ops')}${path}`, init);
  }
}
