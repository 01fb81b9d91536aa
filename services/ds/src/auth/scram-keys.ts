// Keys that a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677), and
// their derivation.

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** Neither the password nor what a client has to know can be computed from these. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  /** H(HMAC(SaltedPassword, "Client Key")), 32 bytes. */
  readonly storedKey: Buffer;
  /** HMAC(SaltedPassword, "Server Key"), 32 bytes. */
  readonly serverKey: Buffer;
}

/** RFC 7677, section 4: no fewer. Each client has to do them all, small devices too. */
export const scramIterationsMin = 4096;
export const scramSaltBytes = 16;
export const scramKeyBytes = 32;

const pbkdf2Async = promisify(pbkdf2);

export async function deriveScramKeys(
  password: string,
  salt: Buffer = randomBytes(scramSaltBytes),
  iterations: number = scramIterationsMin,
): Promise<ScramKeys> {
  const salted = await pbkdf2Async(
    preparePassword(password),
    salt,
    iterations,
    scramKeyBytes,
    'sha256',
  );
  const clientKey = hmacSha256(salted, 'Client Key');
  const storedKey = sha256(clientKey);
  return { salt, iterations, storedKey, serverKey: hmacSha256(salted, 'Server Key') };
}

export function hmacSha256(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
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
