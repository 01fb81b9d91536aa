// JSON Web Tokens as an identity server makes them, by node:crypto alone.
import { createHmac, generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto';

export interface TokenKey {
  readonly alg: string;
  readonly kid?: string;
  sign(input: string): Buffer;
}

export function secretKey(secret: string, alg: 'HS256' | 'HS512' = 'HS256'): TokenKey {
  const hash = alg === 'HS256' ? 'sha256' : 'sha512';
  return { alg, sign: (input) => createHmac(hash, secret).update(input).digest() };
}

export type KeyPair = TokenKey & { readonly publicKey: KeyObject; readonly jwk: object };

export function keyPair(alg: 'RS256' | 'ES256' | 'EdDSA', kid: string): KeyPair {
  const { publicKey, privateKey } = pairOf(alg);
  return {
    alg,
    kid,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    sign: (input) => {
      const bytes = Buffer.from(input);
      if (alg === 'EdDSA') return signWith(null, bytes, privateKey);
      return signWith('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    },
  };
}

function pairOf(alg: string): { publicKey: KeyObject; privateKey: KeyObject } {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function token(key: TokenKey, claims: object, header: object = {}): string {
  const head = { alg: key.alg, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }) };
  const input = `${part({ ...head, ...header })}.${part(claims)}`;
  return `${input}.${key.sign(input).toString('base64url')}`;
}

/** Seconds since 1970, from now on. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
