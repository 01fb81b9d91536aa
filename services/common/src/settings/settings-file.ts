// A file of settings: lines of our names and those of the Java nodes, in the syntax of their files.
import { readFileSync } from 'node:fs';

import type { Given, GivenByName } from './given.ts';
import { javaKey, type JavaTlsKey } from './java-keys.ts';
import { SettingsError } from './parse.ts';
import { type Property, propertiesText, PropertyError, readProperties } from './properties.ts';
import { canonicalName, type SettingName } from './row.ts';

/**
 * Values of the Java nodes' keys for TLS in all files; they count once every source has been read.
 */
type JavaTls = Map<JavaTlsKey, Given>;

export interface FileReader {
  /** Throws where there is no such setting. */
  readonly check: (source: string, name: string) => void;
  readonly javaTls: JavaTls;
  /** Lines for the log. */
  readonly notes: string[];
}

function propertiesOf(path: string): Property[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new SettingsError(`--config ${path}: cannot be read`, { cause: error });
  }
  try {
    return readProperties(propertiesText(bytes));
  } catch (error) {
    if (!(error instanceof PropertyError)) throw error;
    throw new SettingsError(`${path} line ${error.line}: ${error.message}`, { cause: error });
  }
}

/** Puts what the file says into `given`. Throws `SettingsError`. */
export function readSettingsFile(path: string, given: GivenByName, reader: FileReader): void {
  const { check, javaTls, notes } = reader;
  for (const { key, value, line, needlessEscape } of propertiesOf(path)) {
    if (key === '') throw new SettingsError(`${path} line ${line}: must be key=value`);
    const source = `${path} line ${line}: ${key}`;
    const theirs = javaKey(key);
    if (theirs !== undefined && 'why' in theirs) {
      notes.push(`${source} is not used: ${theirs.why}`);
      continue;
    }
    const found: Given = { text: value, source, from: 'file' };
    // A key of theirs without a value is as good as none, which is how they ship the file.
    if (theirs !== undefined && 'tls' in theirs) {
      if (value.trim() === '') javaTls.delete(theirs.tls);
      else javaTls.set(theirs.tls, found);
      continue;
    }
    const name = theirs?.setting ?? canonicalName(key);
    check(source, name);
    if (needlessEscape)
      notes.push(`${source}: a \\ begins an escape here, and \\\\ is a \\ itself`);
    if (theirs !== undefined && value.trim() === '') given.delete(name);
    else given.set(name, found);
  }
}

const settingOf: Readonly<Partial<Record<JavaTlsKey, SettingName>>> = {
  mqttTlsPort: 'MQTT_TLS_PORT',
  sslCaCertFile: 'TLS_CA',
  sslServerCertFile: 'TLS_CERT',
  sslServerKeyFile: 'TLS_KEY',
  sslServerKeyPassword: 'TLS_KEY_PASSWORD',
};

const javaTlsPort = '8883';

const isTrue = (given: Given | undefined): boolean => given?.text.trim().toLowerCase() === 'true';

/**
 * The keys of their TLS become settings where TLS is on: `enableTlsSever` says so, or, without it,
 * a TLS_CERT of ours beside their port. Their port alone says nothing, because Java nodes have one
 * in any case.
 */
export function applyJavaTls(javaTls: JavaTls, given: GivenByName, notes: string[]): void {
  if (javaTls.size === 0) return;
  const enabled = javaTls.get('enableTlsSever');
  const hasPair = given.has('TLS_CERT') || javaTls.has('sslServerCertFile');
  const isOn = enabled === undefined ? given.has('TLS_CERT') : isTrue(enabled) && hasPair;
  if (!isOn) {
    const why =
      enabled === undefined || isTrue(enabled)
        ? 'without TLS_CERT and TLS_KEY'
        : 'because enableTlsSever is not true';
    for (const { source } of javaTls.values()) notes.push(`${source} is not used ${why}`);
    return;
  }
  for (const [key, name] of Object.entries(settingOf)) {
    const theirs = javaTls.get(key as JavaTlsKey);
    if (theirs !== undefined && !given.has(name)) given.set(name, theirs);
  }
  if (enabled !== undefined && !given.has('MQTT_TLS_PORT'))
    given.set('MQTT_TLS_PORT', { ...enabled, text: javaTlsPort });
  const asked = javaTls.get('needClientAuth');
  if (asked !== undefined && isTrue(asked) && !given.has('TLS_CLIENT_CERT'))
    given.set('TLS_CLIENT_CERT', { ...asked, text: 'required' });
}
