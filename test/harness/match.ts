// Partial comparison of a received packet with what a test expects of it.
import { isDeepStrictEqual } from 'node:util';

/** Some of the fields; a Buffer may be written as text; properties are compared in part too. */
export type Match<T> = {
  readonly [K in keyof T]?: T[K] extends Buffer | undefined
    ? string | Uint8Array
    : T[K] extends readonly unknown[] | undefined
      ? T[K]
      : T[K] extends object | undefined
        ? Match<T[K]> | undefined
        : T[K] | undefined;
};

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}

/** A key with the value undefined must be absent. */
export function matches(value: unknown, expected: unknown): boolean {
  if (value instanceof Uint8Array) {
    if (typeof expected !== 'string' && !(expected instanceof Uint8Array)) return false;
    return Buffer.from(value).equals(Buffer.from(expected as string));
  }
  if (isRecord(expected)) {
    if (!isRecord(value)) return false;
    return Object.entries(expected).every(([key, part]) => matches(value[key], part));
  }
  return isDeepStrictEqual(value, expected);
}

const shownBytesMax = 80;

/** One line for failure messages. */
export function show(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    const bytes =
      isRecord(part) && part['type'] === 'Buffer' && Array.isArray(part['data'])
        ? Buffer.from(part['data'] as number[])
        : undefined;
    const text = bytes ? bytes.toString('latin1') : part;
    if (typeof text !== 'string' || text.length <= shownBytesMax) return text;
    return `${text.slice(0, shownBytesMax)}… (${text.length})`;
  });
}
