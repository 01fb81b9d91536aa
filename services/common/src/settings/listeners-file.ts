// The file of LISTENERS: a list, as JSON, of listeners beside those that MQTT_PORT and its like open.
//
//   [{"name": "plants", "kind": "mqtts", "port": 8883, "tlsCert": "plants.crt", "tlsKey": "plants.key",
//     "certificates": [{"names": ["a.example"], "tlsCert": "a.crt", "tlsKey": "a.key"}],
//     "authentication": ["certificate"], "maxConnections": 1000}]
//
// A key with the name of a setting means what the setting means, and has its value where it is left
// out. Paths are relative to the folder of the file.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { authSources, type AuthSource } from '../auth-sources.ts';
import { mountProblem } from '../mount.ts';
import { networksOf } from '../networks.ts';
import { SettingsError, parseValue } from './parse.ts';
import type {
  ListenerKind,
  ListenerSettings,
  NamedCertificate,
  OwnListenerSettings,
  RawSettings,
  Row,
  Value,
} from './row.ts';
import { table } from './table.ts';

const kinds: readonly string[] = ['mqtt', 'mqtts', 'ws', 'wss'] satisfies ListenerKind[];
/** Names in the `ready` line that are of others. */
const taken: readonly string[] = ['rpc', 'ops'];
const listenersMax = 256;

const ownRows: Readonly<Record<keyof OwnListenerSettings, Row>> = {
  bind: table.BIND,
  certUser: table.CERT_USER,
  certUserPattern: table.CERT_USER_PATTERN,
  maxConnections: table.MAX_CONNECTIONS,
  mount: table.MOUNT,
  proxyProtocolFrom: table.PROXY_PROTOCOL_FROM,
  tlsCa: table.TLS_CA,
  tlsCert: table.TLS_CERT,
  tlsCiphers: table.TLS_CIPHERS,
  tlsClientCert: table.TLS_CLIENT_CERT,
  tlsCrl: table.TLS_CRL,
  tlsKey: table.TLS_KEY,
  tlsKeyPassword: table.TLS_KEY_PASSWORD,
  tlsMinVersion: table.TLS_MIN_VERSION,
  wsOrigins: table.WS_ORIGINS,
  wsPath: table.WS_PATH,
};
const ownNames = Object.keys(ownRows) as (keyof OwnListenerSettings)[];
const otherNames: readonly string[] = ['name', 'kind', 'port', 'authentication', 'certificates'];

/** Throws `SettingsError`, whose message names the place in the file. */
export function readListeners(path: string, raw: RawSettings): readonly ListenerSettings[] {
  const at = `LISTENERS ${path}`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`${at}: ${problem}`, { cause: error });
  }
  if (!Array.isArray(parsed) || parsed.length === 0 || parsed.length > listenersMax)
    throw new SettingsError(`${at}: must be a list of 1 to ${listenersMax} listeners`);
  const open = openByPorts(raw);
  const names = new Set<string>([...taken, ...open]);
  return parsed.map((each: unknown, index) => {
    const one = new Entry(`${at}: [${index}]`, dirname(path), each);
    const listener = listenerOf(one, raw);
    if (names.has(listener.name)) one.fail('name', `${listener.name} is the name of another one`);
    names.add(listener.name);
    return listener;
  });
}

function openByPorts({ mqttPort, mqttTlsPort, wsPort, wssPort }: RawSettings): string[] {
  const ports = { mqtt: mqttPort, mqtts: mqttTlsPort, ws: wsPort, wss: wssPort };
  return Object.entries(ports).flatMap(([name, port]) => (port === null ? [] : [name]));
}

/** One object of the file, and where it is. */
class Entry {
  readonly #at: string;
  readonly #folder: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(at: string, folder: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new SettingsError(`${at} must be an object`);
    this.#at = at;
    this.#folder = folder;
    this.#fields = value as Readonly<Record<string, unknown>>;
  }

  fail(key: string, problem: string): never {
    throw new SettingsError(`${this.#at}.${key}: ${problem}`);
  }

  allow(known: readonly string[]): void {
    for (const key of Object.keys(this.#fields))
      if (!known.includes(key)) this.fail(key, `is none of ${known.join(', ')}`);
  }

  has(key: string): boolean {
    return this.#fields[key] !== undefined;
  }

  text(key: string): string {
    const value = this.#fields[key];
    if (typeof value !== 'string' || value === '') this.fail(key, 'must be a text');
    return value;
  }

  texts(key: string): readonly string[] {
    const value = this.#fields[key];
    if (!Array.isArray(value) || value.length === 0) this.fail(key, 'must be a list of texts');
    for (const one of value as unknown[])
      if (typeof one !== 'string' || one === '') this.fail(key, 'must be a list of texts');
    return value as readonly string[];
  }

  entries(key: string): readonly Entry[] {
    const value = this.#fields[key];
    if (value === undefined) return [];
    if (!Array.isArray(value)) this.fail(key, 'must be a list');
    return value.map(
      (one: unknown, index) => new Entry(`${this.#at}.${key}[${index}]`, this.#folder, one),
    );
  }

  /** A value of the kind that the row has; null takes a setting away. */
  value(key: string, row: Row): Value {
    const value = this.#fields[key];
    if (value === null && row.default === null) return null;
    if (typeof value !== 'string' && typeof value !== 'number')
      return this.fail(key, 'must be a text or a number');
    const text = row.kind === 'file' ? resolve(this.#folder, String(value)) : String(value);
    try {
      return parseValue(row, text);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return this.fail(key, problem);
    }
  }
}

function listenerOf(entry: Entry, raw: RawSettings): ListenerSettings {
  entry.allow([...otherNames, ...ownNames]);
  const kind = entry.text('kind');
  if (!isKind(kind)) entry.fail('kind', `must be one of ${kinds.join(', ')}`);
  const port = entry.value('port', { kind: 'port', default: '', roles: ['cs'], about: '' });
  if (typeof port !== 'number') return entry.fail('port', 'must be a port');
  const own = Object.fromEntries(
    ownNames.map((key) => [key, entry.has(key) ? entry.value(key, ownRows[key]) : raw[key]]),
  ) as OwnListenerSettings;
  const name = entry.text('name');
  if (!/^[\w.-]{1,64}$/u.test(name)) entry.fail('name', 'must be letters, digits, - _ and .');
  const listener: ListenerSettings = {
    ...own,
    name,
    kind,
    port,
    authentication: entry.has('authentication') ? sourcesOf(entry) : undefined,
    certificates: entry.entries('certificates').map(certificateOf),
  };
  checkListener(entry, listener);
  return listener;
}

function isKind(text: string): text is ListenerKind {
  return kinds.includes(text);
}

function sourcesOf(entry: Entry): readonly AuthSource[] {
  return entry.texts('authentication').map((each) => {
    const source = authSources.find((one) => one === each);
    return source ?? entry.fail('authentication', `must be of ${authSources.join(', ')}`);
  });
}

function certificateOf(entry: Entry): NamedCertificate {
  entry.allow(['names', 'tlsCert', 'tlsKey', 'tlsKeyPassword']);
  const file = (key: string): string => String(entry.value(key, table.TLS_CERT));
  const names = entry.texts('names').map((each) => each.toLowerCase());
  for (const each of names)
    if (!/^(?:\*\.)?[^*\s]+$/u.test(each)) entry.fail('names', `${each} is no name of a host`);
  return {
    names,
    tlsCert: file('tlsCert'),
    tlsKey: file('tlsKey'),
    tlsKeyPassword: entry.has('tlsKeyPassword') ? entry.text('tlsKeyPassword') : null,
  };
}

function checkListener(entry: Entry, one: ListenerSettings): void {
  const isSecure = one.kind === 'mqtts' || one.kind === 'wss';
  if (isSecure && (one.tlsCert === null || one.tlsKey === null))
    entry.fail('tlsCert', `${one.kind} needs tlsCert and tlsKey, or TLS_CERT and TLS_KEY`);
  if (!isSecure && one.certificates.length > 0)
    entry.fail('certificates', `${one.kind} has no TLS`);
  if (isSecure && one.tlsClientCert !== 'none' && one.tlsCa === null)
    entry.fail('tlsClientCert', 'needs tlsCa');
  if (one.certUserPattern !== null && one.certUserPattern.split('%u').length !== 2)
    entry.fail('certUserPattern', 'must have %u once, for the user name');
  if (entry.has('certUser') && one.certUser !== 'none' && one.tlsClientCert === 'none')
    entry.fail('certUser', 'needs tlsClientCert required or optional');
  if (one.proxyProtocolFrom !== null && networksOf(one.proxyProtocolFrom) === undefined)
    entry.fail('proxyProtocolFrom', 'must be addresses or networks such as 10.0.0.0/8');
  const problem = one.mount === null ? undefined : mountProblem(one.mount);
  if (problem !== undefined) entry.fail('mount', problem);
  if (!one.wsPath.startsWith('/')) entry.fail('wsPath', 'must begin with /');
}
