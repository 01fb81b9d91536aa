// Tokens of the REST interface: a file with a line for each, `name:role:SHA-256 of the token in
// hex`, which is read again when it changes. Tokens are long and random, so their plain hash gives
// nothing away. A file that cannot be used is reported, and the tokens before it stay in force.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Reading, WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';

/** Each may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;

export type Role = (typeof roles)[number];

export interface Token {
  readonly name: string;
  readonly role: Role;
  readonly hash: Buffer;
}

interface TokenReports {
  read(path: string, tokens: number): void;
  refused(path: string, reason: string): void;
}

export const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

const linePattern = /^([^:\s]+):([a-z]+):([0-9a-f]{64})$/i;

/** Throws an error that names a line, and never its content. */
function parseTokens(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, name, roleText, hash] = linePattern.exec(line) ?? [];
    const role = roles.find((one) => one === roleText);
    if (name === undefined || hash === undefined)
      throw new Error(`line ${index + 1}: must be name:role:SHA-256 of the token in hex`);
    if (role === undefined)
      throw new Error(`line ${index + 1}: the role must be ${roles.join(', ')}`);
    if (tokens.some((token) => token.name === name))
      throw new Error(`line ${index + 1}: the name is there twice`);
    tokens.push({ name, role, hash: Buffer.from(hash, 'hex') });
  }
  return tokens;
}

export class TokenFile {
  readonly #path: string;
  readonly #reports: TokenReports;
  #tokens: readonly Token[] = [];
  #watched: WatchedFiles | undefined = undefined;

  /** Rejects where the file cannot be read or used. */
  static async open(
    path: string,
    reports: TokenReports,
    options: WatchOptions = {},
  ): Promise<TokenFile> {
    const file = new TokenFile(path, reports);
    const failed = (reason: string): void => reports.refused(path, reason);
    file.#watched = await WatchedFiles.open(
      [path],
      { read: () => file.#reload(), failed },
      options,
    );
    try {
      await file.#read();
      return file;
    } catch (error) {
      file.close();
      throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  private constructor(path: string, reports: TokenReports) {
    this.#path = path;
    this.#reports = reports;
  }

  /** Takes as long whichever token it is. */
  find(token: string): Token | undefined {
    const hash = hashOf(token);
    let found: Token | undefined;
    for (const one of this.#tokens) if (timingSafeEqual(one.hash, hash)) found = one;
    return found;
  }

  close(): void {
    this.#watched?.close();
  }

  async #read(): Promise<void> {
    this.#tokens = parseTokens(await readFile(this.#path, 'utf8'));
    this.#reports.read(this.#path, this.#tokens.length);
  }

  async #reload(): Promise<Reading> {
    const text = await readFile(this.#path, 'utf8');
    try {
      this.#tokens = parseTokens(text);
    } catch (error) {
      this.#reports.refused(this.#path, messageOf(error));
      return 'unusable';
    }
    this.#reports.read(this.#path, this.#tokens.length);
    return 'read';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
