// The programs under test as processes: the `lmqtt` command, what its `ready` line says, and the
// flags that it is given.
import { join } from 'node:path';
import { GuardedProcess } from './guarded-process.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Addresses of a process's listeners, by the names of its `ready` line: `mqtt`, `ops`, `rpc`, … */
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

/** Variables for the harness alone: the program refuses one of its prefix that it does not know. */
const ofHarness = { LMQTT_ROCKETMQ_VERSION: undefined, LMQTT_CACHE_DIR: undefined };

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

/** `lmqtt` with its command; stderr holds the JSON lines of its log. */
export class ServerProcess extends GuardedProcess {
  readonly #surroundings: Surroundings;

  constructor(name: string, surroundings: Surroundings = {}) {
    super(name, surroundings.folder);
    this.#surroundings = surroundings;
  }

  /** Without waiting for its first line: the arguments follow the program's name. */
  spawn(args: readonly string[]): void {
    const { env, nodeArgs = [], cwd } = this.#surroundings;
    this.run({
      program: process.execPath,
      args: [...nodeArgs, programPath, ...args],
      env: { ...process.env, ...ofHarness, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
  }

  /**
   * Resolves when it has printed where it listens, ready or not; where that does not come it is
   * killed.
   */
  async start(args: readonly string[]): Promise<Addresses> {
    this.spawn(args);
    try {
      return await this.ready();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /**
   * Addresses in the program's first line: `ready`, or `listening` where it waits for another
   * program.
   */
  async ready(timeoutMs: number = startMs): Promise<Addresses> {
    const [, pairs = ''] = await this.printed(/^(?:ready|listening) (.*)\n/m, timeoutMs);
    return parseAddresses(pairs);
  }
}
