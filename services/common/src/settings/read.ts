// Settings from their sources, in rising precedence: defaults, files, environment, flags. Within
// one source the later one counts. A name that the table does not have is an error in each.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Given, GivenByName } from './given.ts';
import { nearest } from './nearest.ts';
import { parseValue, SettingsError } from './parse.ts';
import { resolveSettings } from './resolve.ts';
import {
  camelCase,
  canonicalName,
  type ProgramName,
  type RawSettings,
  rows,
  type Row,
  type SettingName,
  type Settings,
  type Value,
} from './row.ts';
import { applyJavaTls, type FileReader, readSettingsFile } from './settings-file.ts';

const environmentPrefix = 'LMQTT_';
/** Known by these names wherever RocketMQ and Redis are, so without the prefix too. */
const plainNames: readonly SettingName[] = ['NAMESRV_ADDR', 'REDIS_URL', 'ROCKETMQ_PROXY'];
/** Variables by which tests speak to each other. */
const testPrefix = 'LMQTT_TEST_';
/** Variables of `npm run dev:cluster` and the tests, for the servers that they start. */
const serverVariables: ReadonlySet<string> = new Set([
  'LMQTT_ROCKETMQ_VERSION',
  'LMQTT_NAMESRV_PORT',
  'LMQTT_BROKER_PORT',
  'LMQTT_PROXY_PORT',
  'LMQTT_REDIS_PORT',
]);

export interface Sources {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const rowByName: ReadonlyMap<string, Row & { readonly name: SettingName }> = new Map(
  rows.map((row) => [row.name, row]),
);

const flagOf = (name: string): string => `--${name.toLowerCase().replaceAll('_', '-')}`;

/** `shown` writes a setting's name as its source does. */
function unknownName(source: string, name: string, shown: (name: string) => string): never {
  const meant = nearest(name, rowByName.keys());
  const hint = meant === undefined ? 'see --help' : `did you mean ${shown(meant)}?`;
  throw new SettingsError(`${source}: there is no such setting (${hint})`);
}

/** Flags that npm takes are passed on as these, and the program would start without them. */
const npmPrefix = 'npm_config_';

function refuseFlagsOfNpm(environment: Sources['environment']): void {
  const script = environment['npm_lifecycle_event'];
  if (script === undefined) return;
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(npmPrefix)) continue;
    const name = canonicalName(variable.slice(npmPrefix.length));
    if (!rowByName.has(name)) continue;
    const run = script === 'start' ? 'npm start' : `npm run ${script}`;
    const value = rowByName.get(name)?.kind === 'secret' ? '...' : text;
    throw new SettingsError(
      `npm took ${flagOf(name)} for itself; flags of the program come after a --: ` +
        `${run} -- ${flagOf(name)}=${value}`,
    );
  }
}

/** Suffix of a setting that names the file of a secret. */
const fileSuffix = '_FILE';

/**
 * The setting whose secret such a file holds; undefined: `name` has no such suffix, or is no
 * secret.
 */
function secretOf(name: string): SettingName | undefined {
  const secret = name.endsWith(fileSuffix) ? name.slice(0, -fileSuffix.length) : '';
  const row = rowByName.has(name) ? undefined : rowByName.get(secret);
  return row?.kind === 'secret' ? row.name : undefined;
}

function secretIn({ text: path, source, from }: Given): Given {
  try {
    return { text: readFileSync(path, 'utf8').replace(/\r?\n$/, ''), source, from };
  } catch (error) {
    throw new SettingsError(`${source} ${path}: cannot be read`, { cause: error });
  }
}

/** Within one source a secret and the file of it exclude each other. */
function setSecrets(found: GivenByName, given: GivenByName): void {
  for (const [name, value] of found) {
    const secret = secretOf(name);
    if (secret === undefined) given.set(name, value);
    else if (!found.has(secret)) given.set(secret, secretIn(value));
    else
      throw new SettingsError(`${value.source} and ${found.get(secret)?.source}: one of the two`);
  }
}

const isKnown = (name: string): boolean => rowByName.has(name) || secretOf(name) !== undefined;

function readEnvironment(environment: Sources['environment'], given: GivenByName): void {
  for (const name of plainNames) {
    const text = environment[name];
    if (text !== undefined && text !== '')
      given.set(name, { text, source: name, from: 'environment' });
  }
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith(environmentPrefix)) continue;
    if (variable.startsWith(testPrefix) || serverVariables.has(variable)) continue;
    const name = variable.slice(environmentPrefix.length);
    if (!isKnown(name)) {
      unknownName(variable, name, (meant) => environmentPrefix + meant);
    }
    given.set(name, { text, source: variable, from: 'environment' });
  }
}

interface Flags {
  readonly files: string[];
  readonly given: GivenByName;
}

function readFlags(args: readonly string[]): Flags {
  const flags: Flags = { files: [], given: new Map() };
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    const equals = arg.indexOf('=');
    const flag = equals === -1 ? arg : arg.slice(0, equals);
    const name = /^--[a-z]/.test(flag) ? canonicalName(flag.slice(2)) : '';
    const row = rowByName.get(name);
    if (!isKnown(name) && flag !== '--config') {
      unknownName(flag, canonicalName(flag.replace(/^-+/, '')), flagOf);
    }
    let text = equals === -1 ? undefined : arg.slice(equals + 1);
    if (text === undefined) {
      const next = args[index + 1];
      if (row?.kind === 'boolean' && (next === undefined || next.startsWith('-'))) {
        text = 'true';
      } else if (next === undefined || next.startsWith('--')) {
        throw new SettingsError(`${flag}: needs a value`);
      } else {
        text = next;
        index += 1;
      }
    }
    if (flag === '--config') flags.files.push(text);
    else flags.given.set(name, { text, source: flag, from: 'flag' });
  }
  return flags;
}

function valueOf(row: Row, given: Given | undefined): Value {
  if (given === undefined) return row.default === null ? null : parseValue(row, `${row.default}`);
  try {
    // White space behind a value in a file belongs to it, as with the Java nodes, where it could be
    // meant.
    const isMeant = row.kind === 'secret' || row.kind === 'text' || given.from !== 'file';
    return parseValue(row, isMeant ? given.text : given.text.trim());
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const shown = row.kind === 'secret' ? '' : `, not "${given.text}"`;
    throw new SettingsError(`${given.source} ${error.message}${shown}`, { cause: error });
  }
}

function build(given: GivenByName, program: ProgramName, notes: readonly string[] = []): Settings {
  const values = Object.fromEntries(
    rows.map((row) => [camelCase(row.name), valueOf(row, given.get(row.name))]),
  );
  if (values['listeners'] !== null)
    for (const name of ['MQTT_PORT', 'WS_PORT'])
      if (!given.has(name)) values[camelCase(name)] = null;
  // The rows that made `values` are the rows that the type is read off.
  return resolveSettings(values as RawSettings, program, notes);
}

/**
 * Says which settings have no effect. One file may serve all programs, and one environment (that of
 * an image), so of these only what was surely meant for this program is looked at.
 */
function noteIdle(given: GivenByName, program: ProgramName, notes: string[]): void {
  const isOnServers = given.has('REDIS_URL');
  for (const [name, { source, from }] of given) {
    const row = rowByName.get(name);
    if (row === undefined) continue;
    const isRead = program === 'standalone' || row.roles.includes(program);
    if (!isRead && from === 'flag')
      notes.push(`${source} has no effect: ${program} does not read it`);
    if (!isRead) continue;
    if (row.only === 'servers' && !isOnServers)
      notes.push(`${source} has no effect without NAMESRV_ADDR and REDIS_URL`);
    if (from === 'environment') continue;
    if (row.only === 'embedded' && isOnServers)
      notes.push(`${source} has no effect: with REDIS_URL nothing is stored in DATA_DIR`);
    if (row.only === 'link' && program === 'standalone' && !isOnServers)
      notes.push(`${source} has no effect: cs and ds are one process, without a link`);
  }
}

function noteTrailingSpace(given: GivenByName, notes: string[]): void {
  for (const [name, { text, source, from }] of given) {
    const kind = rowByName.get(name)?.kind;
    if (from === 'file' && (kind === 'secret' || kind === 'text') && text !== text.trimEnd())
      notes.push(`${source} ends with white space, which belongs to the value`);
  }
}

/**
 * The files that the settings come from: those of --config, and those of the secrets that are
 * named. Throws `SettingsError`.
 */
export function settingsFiles({ args, environment }: Sources): string[] {
  const flags = readFlags(args);
  const found: GivenByName = new Map();
  const reader: FileReader = { check: () => {}, javaTls: new Map(), notes: [] };
  for (const file of flags.files) readSettingsFile(file, found, reader);
  readEnvironment(environment, found);
  for (const [name, given] of flags.given) found.set(name, given);
  const secrets = Array.from(found).filter(([name]) => secretOf(name) !== undefined);
  return [...new Set([...flags.files, ...secrets.map(([, { text }]) => text)])];
}

/** Where the settings that are given come from. Throws `SettingsError`. */
export function settingOrigins({
  args,
  environment,
}: Sources): ReadonlyMap<string, Pick<Given, 'from' | 'source'>> {
  const flags = readFlags(args);
  const given: GivenByName = new Map();
  const reader: FileReader = { check: () => {}, javaTls: new Map(), notes: [] };
  for (const file of flags.files) {
    const found: GivenByName = new Map();
    readSettingsFile(file, found, reader);
    setSecrets(found, given);
  }
  const found: GivenByName = new Map();
  readEnvironment(environment, found);
  setSecrets(found, given);
  setSecrets(flags.given, given);
  return given;
}

/**
 * Flags of settings as a script passes them on to programs that run in other folders: paths are
 * absolute, the other values are not looked at. Throws `SettingsError`.
 */
export function flagsToPassOn({ args, environment }: Sources, folder: string): string[] {
  refuseFlagsOfNpm(environment);
  const { files, given } = readFlags(args);
  const flags = files.map((file) => `--config=${resolve(folder, file)}`);
  for (const [name, { text, source }] of given) {
    const kind = rowByName.get(name)?.kind;
    const isPath = kind === 'file' || kind === 'folder' || secretOf(name) !== undefined;
    flags.push(`${source}=${isPath && text !== '' ? resolve(folder, text) : text}`);
  }
  return flags;
}

/** Throws `SettingsError`: its message is one line for the person who started the program. */
export function readSettings(
  { args, environment }: Sources,
  program: ProgramName = 'standalone',
): Settings {
  refuseFlagsOfNpm(environment);
  const flags = readFlags(args);
  const given: GivenByName = new Map();
  const notes: string[] = [];
  const reader: FileReader = {
    check: (source, name) => {
      if (!isKnown(name)) unknownName(source, name, (meant) => meant);
    },
    javaTls: new Map(),
    notes,
  };
  for (const file of flags.files) {
    const found: GivenByName = new Map();
    readSettingsFile(file, found, reader);
    setSecrets(found, given);
  }
  const found: GivenByName = new Map();
  readEnvironment(environment, found);
  setSecrets(found, given);
  setSecrets(flags.given, given);
  for (const [name, { text, source }] of flags.given) {
    if (rowByName.get(name)?.kind !== 'secret') continue;
    // An address of Redis without user and password is no secret.
    if (name === 'REDIS_URL' && !text.includes('@')) continue;
    notes.push(
      `${source}: every user of this machine can read the flags of a process; ` +
        `${environmentPrefix}${name} or ${source}-file keeps it from them`,
    );
  }
  applyJavaTls(reader.javaTls, given, notes);
  noteTrailingSpace(given, notes);
  noteIdle(given, program, notes);
  return build(given, program, notes);
}

/** The defaults with some settings replaced, for programs that start a broker within themselves. */
export function defaultSettings(replaced: Partial<Settings> = {}): Settings {
  return { ...build(new Map(), 'standalone'), ...replaced };
}
