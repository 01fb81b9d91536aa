// Keys that tokens are checked with: one secret, public keys from a file, or a key set that an
// identity server publishes. Hides where they come from. A key set is asked for again when it is
// old, and when a token names a key that it lacks; while its server cannot be reached, the set
// before stays.

import { systemClock } from '@lmqtt/common/clock';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { boundedText } from '../http/bounded-text.ts';
import { type Parsed, ReloadedFile, type ReloadOptions } from '../reloaded-file.ts';

/** A source of keys that cannot be asked now. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

export type JwtKey = Awaited<ReturnType<JWTVerifyGetKey>>;
type Header = Parameters<JWTVerifyGetKey>[0];
type Token = Parameters<JWTVerifyGetKey>[1];

export interface JwtKeys {
  /** The keys that may have signed it; none: no key fits. */
  find(header: Header, token: Token): Promise<readonly JwtKey[]>;
}

/** The secret of HS256, HS384 and HS512. */
export class SecretKey implements JwtKeys {
  readonly #key: Uint8Array;

  constructor(secret: string) {
    this.#key = Buffer.from(secret);
  }

  async find(): Promise<readonly JwtKey[]> {
    return [this.#key];
  }
}

/** Public keys as PEM, one behind another, certificates too, or as a JSON Web Key Set. */
export class KeyFile implements JwtKeys {
  readonly #file: ReloadedFile<JwtKeys>;

  static async open(path: string, options: ReloadOptions): Promise<KeyFile> {
    return new KeyFile(await ReloadedFile.open(path, parseKeys, options));
  }

  private constructor(file: ReloadedFile<JwtKeys>) {
    this.#file = file;
  }

  find(header: Header, token: Token): Promise<readonly JwtKey[]> {
    return this.#file.value.find(header, token);
  }

  close(): void {
    this.#file.close();
  }
}

interface KeySetOptions {
  readonly timeoutMs: number;
  /** Age at which a set is asked for again. */
  readonly ageMsMax: number;
  /** Pause between two questions, however many tokens name unknown keys. */
  readonly pauseMs?: number;
  readonly nowMs?: () => number;
  /** The set was read, or why not. */
  readonly report: (problem: string | undefined) => void;
}

const setBytesMax = 1_048_576;

/** A JSON Web Key Set (RFC 7517) at an address. */
export class KeySetUrl implements JwtKeys {
  readonly #url: string;
  readonly #options: KeySetOptions;
  #set: JwtKeys | undefined = undefined;
  #readAtMs = 0;
  #askedAtMs = -Infinity;
  #asking: Promise<void> | undefined = undefined;

  constructor(url: string, options: KeySetOptions) {
    this.#url = url;
    this.#options = options;
  }

  async find(header: Header, token: Token): Promise<readonly JwtKey[]> {
    if (this.#set === undefined) await this.#ask();
    else if (this.#nowMs() - this.#readAtMs > this.#options.ageMsMax) void this.#ask();
    if (this.#set === undefined) throw new KeysUnavailable('the key set cannot be read');
    const found = await this.#set.find(header, token);
    if (found.length > 0) return found;
    // The server may have a new key since.
    await this.#ask();
    return this.#set.find(header, token);
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? systemClock.monotonicMs();
  }

  /** One question at a time, and no two soon after each other. */
  #ask(): Promise<void> {
    if (this.#asking !== undefined) return this.#asking;
    const nowMs = this.#nowMs();
    if (nowMs - this.#askedAtMs < (this.#options.pauseMs ?? 5000)) return Promise.resolve();
    this.#askedAtMs = nowMs;
    this.#asking = this.#read().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #read(): Promise<void> {
    try {
      const answer = await fetch(this.#url, {
        signal: AbortSignal.timeout(this.#options.timeoutMs),
        headers: { accept: 'application/json' },
        redirect: 'error',
      });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#set = keySet(await boundedText(answer, setBytesMax));
      this.#readAtMs = this.#nowMs();
      this.#options.report(undefined);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      this.#options.report(cause instanceof Error ? cause.message : String(cause));
    }
  }
}

function keySet(text: string): JwtKeys {
  const local = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  return {
    async find(header, token) {
      try {
        return [await local(header, token)];
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) return [];
        if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
        const keys: JwtKey[] = [];
        for await (const key of error) keys.push(key);
        return keys;
      }
    },
  };
}

const pemPattern = /-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----[^-]+-----END \1-----/g;

function parseKeys(text: string): Parsed<JwtKeys> {
  if (text.trimStart().startsWith('{')) {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return { value: keySet(text), entries: Array.isArray(keys) ? keys.length : 0 };
  }
  if (/PRIVATE KEY-----/.test(text)) throw new Error('a private key; only public keys belong here');
  const keys: KeyObject[] = [...text.matchAll(pemPattern)].map(([pem]) => createPublicKey(pem));
  if (keys.length === 0) throw new Error('neither a public key in PEM nor a JSON Web Key Set');
  return { value: { find: async () => keys }, entries: keys.length };
}
