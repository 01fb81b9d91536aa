// One user of the password file, one line:
//
//   NAME:$scrypt$ln=14,r=8,p=1$SALT$HASH:$scram-sha-256$i=4096$SALT$STOREDKEY$SERVERKEY
//     :$scram-sha-512$i=10000$SALT$STOREDKEY$SERVERKEY:$account$ID
//
// without the line break.
// NAME is the user name as clients send it; it may have colons in it, but no line break, and does
// not begin with #. `ln` is the binary logarithm of scrypt's N. Salts, hashes and keys are base64.
// Each part for SCRAM may be missing: that user can then not use it. ID stays when the password
// changes and is another for a user who gets the name of one that was removed, so that sessions are
// not inherited; it may be missing. One line more has no name and is there once; salts of users
// that do not exist are made from it:
//
//   :$unknown-users$KEY
//
// Empty lines and lines that begin with # are skipped. The order does not matter; a name that comes
// twice is an error.

import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { LineError, type LineParser, type Parsed } from './reloaded-file.ts';
import {
  deriveScramKeys,
  type ScramHash,
  scramIterations,
  scramIterationsMin,
  scramSaltBytes,
  type ScramKeys,
} from './scram-keys.ts';

export interface PasswordHash {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

interface PasswordEntry {
  readonly password: PasswordHash;
  readonly scram: Readonly<Record<ScramHash, ScramKeys | undefined>>;
}

/**
 * All users of a file. An entry is decoded when it is asked for, so that a large file is read
 * quickly.
 */
export interface PasswordTable {
  /** User name to the rest of its line, which has been checked. */
  readonly lines: ReadonlyMap<string, string>;
  readonly unknownUsersKey: Buffer | undefined;
  /** Kinds of entries, by which checks of unknown users cost as much as checks of real ones. */
  readonly kinds: readonly EntryKind[];
}

/** Entries whose checks cost the same and show the same to a client. */
interface EntryKind {
  readonly sample: PasswordEntry;
  count: number;
}

const base64 = String.raw`(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?`;
const key = String.raw`[A-Za-z0-9+/]{43}=`;
const longKey = String.raw`[A-Za-z0-9+/]{86}==`;
const entryPattern = new RegExp(
  String.raw`^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$(${base64})\$(${base64})` +
    String.raw`(?::\$scram-sha-256\$i=(\d{1,7})\$(${base64})\$(${key})\$(${key}))?` +
    String.raw`(?::\$scram-sha-512\$i=(\d{1,7})\$(${base64})\$(${longKey})\$(${longKey}))?` +
    String.raw`(?::\$account\$[A-Za-z0-9+/]{16})?$`,
);
const unknownUsersPattern = new RegExp(String.raw`^:\$unknown-users\$(${key})$`);

/** 16 MiB and about 50 ms for each check. */
const made = { logN: 14, r: 8, p: 1 } as const;
const accountPattern = /:\$account\$([A-Za-z0-9+/]{16})$/;
const accountBytes = 12;
const saltBytes = 16;
const hashBytes = 32;
export const unknownUsersKeyBytes = 32;
/** The highest cost that a file may ask for: above this one check takes a gigabyte. */
const logNMax = 20;
const rMax = 8;

/** The whole text in one turn. */
export function parsePasswordFile(text: string, usersMax: number): Parsed<PasswordTable> {
  const parser = new PasswordLines(usersMax);
  for (const [index, line] of text.split('\n').entries()) parser.line(line, index + 1);
  return parser.parsed();
}

/** The lines of a password file. */
export class PasswordLines implements LineParser<PasswordTable> {
  readonly #usersMax: number;
  readonly #lines = new Map<string, string>();
  readonly #kinds = new Map<string, EntryKind>();
  #unknownUsersKey: Buffer | undefined = undefined;

  constructor(usersMax: number) {
    this.#usersMax = usersMax;
  }

  line(text: string, number: number): void {
    const line = text.endsWith('\r') ? text.slice(0, -1) : text;
    if (line.trim() === '' || line.startsWith('#')) return;
    const [, encoded] = unknownUsersPattern.exec(line) ?? [];
    if (encoded !== undefined) {
      this.#unknownUsersKey = Buffer.from(encoded, 'base64');
      return;
    }
    const lines = this.#lines;
    const at = nameEnd(line);
    if (at < 1) throw new LineError(number, 'not `NAME:$scrypt$…`');
    const name = line.slice(0, at);
    const rest = line.slice(at + 1);
    const problem = problemOf(rest);
    if (problem !== undefined) throw new LineError(number, problem);
    if (lines.has(name)) throw new LineError(number, 'this user was there before');
    lines.set(name, rest);
    addKind(this.#kinds, rest);
    if (lines.size > this.#usersMax)
      throw new LineError(number, `more than ${this.#usersMax} users`);
  }

  parsed(): Parsed<PasswordTable> {
    const lines = this.#lines;
    const kinds = [...this.#kinds.values()];
    return { value: { lines, unknownUsersKey: this.#unknownUsersKey, kinds }, entries: lines.size };
  }
}

function addKind(kinds: Map<string, EntryKind>, rest: string): void {
  const name = rest
    .split('$')
    .map((part) => (part.includes('=') && part.includes(',') ? part : String(part.length)))
    .join('$');
  const kind = kinds.get(`${name} ${iterationsOf(rest)}`);
  if (kind !== undefined) kind.count += 1;
  else kinds.set(`${name} ${iterationsOf(rest)}`, { sample: decodeEntry(rest), count: 1 });
}

function iterationsOf(rest: string): string {
  return (rest.match(/\$i=\d+\$/g) ?? []).join(' ');
}

/** End of the name in a line; -1 where the line is not a user's. */
export function nameEnd(line: string): number {
  return line.lastIndexOf(':$scrypt$');
}

function problemOf(rest: string): string | undefined {
  const match = entryPattern.exec(rest);
  if (match === null) return 'the name is not followed by a valid entry';
  const [, logN, r, p, , , ...scram] = match;
  if (Number(logN) < 1 || Number(logN) > logNMax || Number(r) < 1 || Number(r) > rMax)
    return `scrypt with ln above ${logNMax} or r above ${rMax}, or 0`;
  if (Number(p) < 1 || Number(p) > rMax) return `scrypt with p above ${rMax}, or 0`;
  if ([scram[0], scram[4]].some((text) => text !== undefined && Number(text) < scramIterationsMin))
    return `SCRAM with fewer than ${scramIterationsMin} iterations`;
  return undefined;
}

/** Whether it is the rest of a line, and within the limits of one. */
export function isEntry(rest: string): boolean {
  return problemOf(rest) === undefined;
}

/** The rest of a line that has been checked. */
export function decodeEntry(rest: string): PasswordEntry {
  const match = entryPattern.exec(rest);
  if (match === null) throw new Error('an entry that was never checked');
  const [, logN, r, p, salt, hash, ...scram] = match;
  return {
    password: {
      logN: Number(logN),
      r: Number(r),
      p: Number(p),
      salt: Buffer.from(salt!, 'base64'),
      hash: Buffer.from(hash!, 'base64'),
    },
    scram: { sha256: keysOf(scram.slice(0, 4)), sha512: keysOf(scram.slice(4, 8)) },
  };
}

/** Keys of the groups of one method; all of them are undefined where the user cannot use it. */
function keysOf(groups: readonly (string | undefined)[]): ScramKeys | undefined {
  const [iterations, salt, storedKey, serverKey] = groups;
  if (iterations === undefined) return undefined;
  return {
    iterations: Number(iterations),
    salt: Buffer.from(salt!, 'base64'),
    storedKey: Buffer.from(storedKey!, 'base64'),
    serverKey: Buffer.from(serverKey!, 'base64'),
  };
}

/**
 * A whole line for a new user, without the line break. For a new password of one that is there
 * already see {@link withAccountOf}.
 */
export async function makeEntry(name: string, password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await scryptOf(Buffer.from(password), { ...made, salt }, hashBytes);
  const short = scramText('scram-sha-256', await deriveScramKeys(password, 'sha256'));
  const long = scramText('scram-sha-512', await deriveScramKeys(password, 'sha512'));
  return (
    `${name}:$scrypt$ln=${made.logN},r=${made.r},p=${made.p}$${text(salt)}$${text(hash)}` +
    `${short}${long}:$account$${text(randomBytes(accountBytes))}`
  );
}

function scramText(method: string, keys: ScramKeys): string {
  const { iterations, salt, storedKey, serverKey } = keys;
  return `:$${method}$i=${iterations}$${text(salt)}$${text(storedKey)}$${text(serverKey)}`;
}

/** The account of an entry or a line; '': it has none. */
export function accountOf(line: string): string {
  return accountPattern.exec(line)?.[1] ?? '';
}

/**
 * The entry with the account of the line before, so that a new password keeps the user's sessions.
 */
export function withAccountOf(line: string, entry: string): string {
  const account = accountPattern.exec(line)?.[0] ?? '';
  return entry.replace(accountPattern, () => account);
}

export function makeUnknownUsersLine(): string {
  return `:$unknown-users$${text(randomBytes(unknownUsersKeyBytes))}`;
}

export function isUnknownUsersLine(line: string): boolean {
  return unknownUsersPattern.test(line);
}

/**
 * A hash that no password has, at the cost of other users' hashes: what an unknown user is checked
 * against.
 */
export function hashOfNobody(kinds: readonly EntryKind[], key: Buffer, name: string): PasswordHash {
  const { logN, r, p, salt, hash } = kindOf(kinds, key, name)?.sample.password ?? usual;
  return {
    ...{ logN, r, p },
    salt: pseudoRandom(key, `salt ${name}`, salt.length),
    hash: pseudoRandom(key, `hash ${name}`, hash.length),
  };
}

/**
 * Salt and iterations for an unknown user, or one who cannot use SCRAM: the same each time, and in
 * the form that others get.
 */
export function scramOfNobody(
  hash: ScramHash,
  kinds: readonly EntryKind[],
  key: Buffer,
  name: string,
): Pick<ScramKeys, 'salt' | 'iterations'> {
  const able = kinds.filter(({ sample }) => sample.scram[hash] !== undefined);
  const like = kindOf(able, key, name)?.sample.scram[hash];
  // Real users have another salt for each method, too. No name has U+0000 in it.
  const saltKey = hash === 'sha256' ? key : pseudoRandom(key, `\0${hash}`, unknownUsersKeyBytes);
  const salt = pseudoRandom(saltKey, name, like?.salt.length ?? scramSaltBytes);
  return { salt, iterations: like?.iterations ?? scramIterations[hash] };
}

const usual = { ...made, salt: Buffer.alloc(saltBytes), hash: Buffer.alloc(hashBytes) };

/** A kind of entry for a name: chosen as often as real users have it, and the same each time. */
function kindOf(kinds: readonly EntryKind[], key: Buffer, name: string): EntryKind | undefined {
  const total = kinds.reduce((sum, { count }) => sum + count, 0);
  let left = (pseudoRandom(key, `kind ${name}`, 6).readUIntBE(0, 6) / 2 ** 48) * total;
  return kinds.find(({ count }) => (left -= count) < 0);
}

function pseudoRandom(key: Buffer, text: string, bytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let block = 0; block * 32 < bytes; block += 1) {
    const mac = createHmac('sha256', key);
    blocks.push(mac.update(block === 0 ? text : `${block} ${text}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, bytes);
}

/** On the thread pool. Rejects where there is no memory for it. */
export async function isPasswordOf(hash: PasswordHash, password: Buffer): Promise<boolean> {
  if (hash.hash.length === 0) return false;
  return timingSafeEqual(await scryptOf(password, hash, hash.hash.length), hash.hash);
}

function scryptOf(
  password: Buffer,
  cost: Omit<PasswordHash, 'hash'>,
  bytes: number,
): Promise<Buffer> {
  const N = 2 ** cost.logN;
  const options = {
    N,
    r: cost.r,
    p: cost.p,
    maxmem: 128 * N * cost.r + 128 * cost.r * cost.p + 2 ** 20,
  };
  return new Promise((resolve, reject) => {
    scrypt(password, cost.salt, bytes, options, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

function text(bytes: Buffer): string {
  return bytes.toString('base64');
}
