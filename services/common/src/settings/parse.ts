// The text of one setting to its value. Messages say what was wanted, and never repeat a secret.
import { accessSync, constants } from 'node:fs';
import { isIP } from 'node:net';

import type { Kind, Row, Value } from './row.ts';

/** A mistake of the person who wrote the settings: one line, exit code 2. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Parse = (text: string, row: Row) => Value;

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
};

const microseconds: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};

function fail(wanted: string): never {
  throw new SettingsError(`must be ${wanted}`);
}

function parseBytes(text: string): number {
  const match = /^(\d+)([kmg]?)b?$/i.exec(text);
  if (match === null) return NaN;
  return Number(match[1]) * (byteUnits[(match[2] ?? '').toLowerCase()] ?? NaN);
}

function parseInteger(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : NaN;
}

/** A bare number counts in the row's own unit. */
function parseDuration(text: string, unit: string): number {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text);
  if (match === null) return NaN;
  const inMicroseconds = Number(match[1]) * (microseconds[match[2] ?? unit] ?? NaN);
  return inMicroseconds / (microseconds[unit] ?? NaN);
}

function number(read: (text: string) => number, what: string): Parse {
  return (text, row) => {
    const value = read(text);
    const min = row.min === undefined ? 0 : read(String(row.min));
    const max = row.max === undefined ? Number.MAX_SAFE_INTEGER : read(String(row.max));
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      fail(`${what} from ${row.min ?? 0} to ${row.max ?? max}`);
    }
    return value;
  };
}

const parsers: Readonly<Record<Kind, Parse>> = {
  address: (text) => {
    if (text !== 'localhost' && isIP(text) === 0) fail('an IP address or localhost');
    return text;
  },
  boolean: (text) => {
    if (text !== 'true' && text !== 'false') fail('true or false');
    return text === 'true';
  },
  bytes: number(parseBytes, 'a size in bytes (also 64k, 1m, 2g)'),
  choice: (text, row) => {
    const choices = row.choices ?? [];
    if (!choices.includes(text)) fail(`one of ${choices.join(', ')}`);
    return text;
  },
  file: (text) => {
    try {
      accessSync(text, constants.R_OK);
    } catch {
      fail('a file that can be read');
    }
    return text;
  },
  folder: (text) => (text === '' ? fail('a folder') : text),
  integer: number(parseInteger, 'a whole number'),
  microseconds: number((text) => parseDuration(text, 'us'), 'microseconds (also 1ms)'),
  milliseconds: number((text) => parseDuration(text, 'ms'), 'milliseconds (also 10s, 5m)'),
  port: (text) => {
    if (text === 'off') return null;
    const value = parseInteger(text);
    if (!(value <= 65535)) fail('a port from 0 (any free one) to 65535, or off');
    return value;
  },
  seconds: number((text) => parseDuration(text, 's'), 'seconds (also 5m, 12h, 7d)'),
  secret: (text) => text,
  text: (text) => text,
};

/**
 * Throws `SettingsError` with what was wanted; the caller adds the setting's name and its source.
 */
export function parseValue(row: Row, text: string): Value {
  if (text === '' && row.default === null) return null;
  return parsers[row.kind](text, row);
}
