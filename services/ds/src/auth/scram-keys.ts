// Keys that a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677) and for
// SCRAM-SHA-512, which is the same with another hash, and their derivation.

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

export type ScramHash = 'sha256' | 'sha512';

/** Neither the password nor what a client has to know can be computed from these. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  /** H(HMAC(SaltedPassword, "Client Key")), as long as the hash. */
  readonly storedKey: Buffer;
  /** HMAC(SaltedPassword, "Server Key"), as long as the hash. */
  readonly serverKey: Buffer;
}

/** RFC 7677, section 4: no fewer. Each client has to do them all, small devices too. */
export const scramIterationsMin = 4096;
export const scramSaltBytes = 16;
export const scramKeyBytes: Readonly<Record<ScramHash, number>> = { sha256: 32, sha512: 64 };
/** Iterations of new keys. The draft of SCRAM-SHA-512 asks for 10,000. */
export const scramIterations: Readonly<Record<ScramHash, number>> = {
  sha256: scramIterationsMin,
  sha512: 10_000,
};

const pbkdf2Async = promisify(pbkdf2);

export async function deriveScramKeys(
  password: string,
  hash: ScramHash,
  salt: Buffer = randomBytes(scramSaltBytes),
  iterations: number = scramIterations[hash],
): Promise<ScramKeys> {
  const bytes = scramKeyBytes[hash];
  const salted = await pbkdf2Async(preparePassword(password), salt, iterations, bytes, hash);
  const storedKey = hashed(hash, keyed(hash, salted, 'Client Key'));
  return { salt, iterations, storedKey, serverKey: keyed(hash, salted, 'Server Key') };
}

export function keyed(hash: ScramHash, key: Buffer, text: string): Buffer {
  return createHmac(hash, key).update(text).digest();
}

export function hashed(hash: ScramHash, bytes: Buffer): Buffer {
  return createHash(hash).update(bytes).digest();
}

/**
 * SASLprep (RFC 4013) as far as it changes a password: other spaces become a space, characters that
 * print nothing go, and the rest is normalised. Prohibited characters are left in, as the client's
 * library has to refuse them.
 */
function preparePassword(password: string): string {
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(
      /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g,
      '',
    )
    .normalize('NFKC');
}
