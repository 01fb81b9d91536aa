// The broker under test as tests see it, in whatever shape it runs.

export interface BrokerOptions {
  /** By the names of the settings table: `{ MQTT_PORT: '0' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a temporary directory that goes at `stop`. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Flags after those of the settings. */
  readonly args?: readonly string[];
  /** Options of Node itself, before the program. */
  readonly nodeArgs?: readonly string[];
}

export interface Broker {
  /** Id of the process that has the store. */
  readonly pid: number;
  readonly host: string;
  /** Port for MQTT; each reading gives the next node's, if there are several. */
  readonly mqttPort: number;
  readonly wsPort: number;
  readonly mqttsPort: number | undefined;
  readonly wssPort: number | undefined;
  /** Port of a listener of LISTENERS, of the next node; 0: it has none. */
  portOf(listener: string): number;
  /** Port of the REST interface. */
  readonly opsPort: number;
  readonly dataDir: string;
  /** True when the tests run against a broker that somebody else has started. */
  readonly external: boolean;
  /** It, or a part of it, ended by itself; `stop` and `kill` were not called. */
  readonly died: boolean;
  /** How what has died ended, and the end of its log. */
  readonly lastWords: string;
  /** Resolves when it has printed its `ready` line. */
  start(): Promise<void>;
  /** Output of the running processes: stdout, then the JSON lines of their logs. */
  logs(): string;
  /** This signal; the exit code, the first one that is not 0. The directory stays. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** SIGTERM; the exit code. The temporary directory goes. */
  stop(): Promise<number | null>;
  /** SIGKILL; the directory stays, for `restart`. */
  kill(): Promise<void>;
  /** Starts again on the same directory, after a clean stop where it still runs. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** GET /metrics, of several processes added up. */
  metrics(): Promise<Map<string, number>>;
}
