// Rows of the table of settings, and the types that are read off it.
import type { AuthSource } from '../auth-sources.ts';
import { table } from './table.ts';

type Role = 'cs' | 'ds';

/** Programs: `standalone` is a cs and a ds in one. */
export type ProgramName = 'standalone' | 'cs' | 'ds';

export type Kind =
  | 'address'
  | 'boolean'
  | 'bytes'
  | 'choice'
  | 'file'
  | 'folder'
  | 'integer'
  | 'microseconds'
  | 'milliseconds'
  | 'port'
  | 'seconds'
  | 'secret'
  | 'text';

export type Value = string | number | boolean | null;

export interface Row {
  readonly kind: Kind;
  /** As it would be written in a file; `null`: unset. */
  readonly default: Value;
  /** Roles that read it; a standalone broker has both. */
  readonly roles: readonly Role[];
  /**
   * The only shape in which it has an effect: with stores of our own, on RocketMQ and Redis, or
   * with gRPC between cs and ds. Absent: everywhere.
   */
  readonly only?: 'embedded' | 'servers' | 'link';
  readonly about: string;
  readonly min?: number | string;
  readonly max?: number | string;
  readonly choices?: readonly string[];
  /** Only of limits: what the client sees when it is reached. */
  readonly limit?: string;
}

type Table = typeof table;

export type SettingName = keyof Table;

/** Names of the rows that are limits. */
export type LimitName = {
  [N in SettingName]: Table[N] extends { readonly limit: string } ? N : never;
}[SettingName];

/** `MQTT_TLS_PORT` is read as `mqttTlsPort`. */
export type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<S>;

type ValueOf<R extends Row> = R extends { readonly choices: readonly (infer C)[] }
  ? C
  : R['kind'] extends 'boolean'
    ? boolean
    : R['kind'] extends 'address' | 'file' | 'folder' | 'secret' | 'text'
      ? string
      : number;

/** A port can be switched off wherever it is asked for; the others only when unset by default. */
type Unset<R extends Row> = R['kind'] extends 'port' ? null : R['default'] & null;

/**
 * Values that the table gives by itself, before `resolve.ts` has decided what depends on several
 * rows.
 */
export type RawSettings = {
  readonly [N in SettingName as CamelCase<N>]: ValueOf<Table[N]> | Unset<Table[N]>;
};

export type ListenerKind = 'mqtt' | 'mqtts' | 'ws' | 'wss';

/** A certificate for clients that ask for one of these names (SNI). */
export interface NamedCertificate {
  /** Lower case; `*.example` stands for one level. */
  readonly names: readonly string[];
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly tlsKeyPassword: string | null;
}

/** Settings that a listener may have for itself. */
export type OwnListenerSettings = Pick<
  RawSettings,
  | 'bind'
  | 'certUser'
  | 'certUserPattern'
  | 'maxConnections'
  | 'mount'
  | 'proxyProtocolFrom'
  | 'tlsCa'
  | 'tlsCert'
  | 'tlsCiphers'
  | 'tlsClientCert'
  | 'tlsCrl'
  | 'tlsKey'
  | 'tlsKeyPassword'
  | 'tlsMinVersion'
  | 'wsOrigins'
  | 'wsPath'
>;

export interface ListenerSettings extends OwnListenerSettings {
  readonly name: string;
  readonly kind: ListenerKind;
  readonly port: number;
  /** Sources of users that count here; undefined: all that ds has. */
  readonly authentication: readonly AuthSource[] | undefined;
  readonly certificates: readonly NamedCertificate[];
}

/** Everything that a broker is told from outside; numbers in the unit that the name ends with. */
export type Settings = Omit<RawSettings, 'allowAnonymous' | 'listeners' | 'nodeId'> & {
  /** Listeners of the file LISTENERS. */
  readonly listeners: readonly ListenerSettings[];
  readonly allowAnonymous: AnonymousClients;
  readonly webPages: WebPages;
  readonly nodeId: string;
  /** A line for the log for each key of a file that is accepted and not used. */
  readonly notes: readonly string[];
};

/** Clients that are let in without a user name; `loopback`: those on the machine of their cs. */
export type AnonymousClients = boolean | 'loopback';

/** Web pages that may open a WebSocket: all, those of this machine, or those of these origins. */
export type WebPages = 'any' | 'local' | readonly string[];

export const rows: readonly (Row & { readonly name: SettingName })[] = Object.entries<Row>(
  table,
).map(([name, row]) => ({ ...row, name: name as SettingName }));

export interface Limit {
  readonly name: LimitName;
  /** As it stands in the text of `/metrics`. */
  readonly metric: string;
  readonly refusal: string;
}

export const limitMetricName = 'lmqtt_limit_total';

export const limits: readonly Limit[] = rows.flatMap((row) =>
  row.limit === undefined
    ? []
    : [
        {
          name: row.name as LimitName,
          metric: `${limitMetricName}{limit="${row.name.toLowerCase()}"}`,
          refusal: row.limit,
        },
      ],
);

export function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

const byCamelCase = new Map(rows.map((row) => [camelCase(row.name), row.name]));

/**
 * `mqttPort`, `mqtt-port` and `MQTT_PORT` are one name; what is in none of these forms comes back.
 */
export function canonicalName(key: string): string {
  return byCamelCase.get(key) ?? key.replaceAll('-', '_').toUpperCase();
}
