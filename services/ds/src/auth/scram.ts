// SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) as enhanced authentications of MQTT 5.0. No
// channel binding, so no `-PLUS`.
//
//   client-first   gs2-header n=<user>,r=<client nonce>            in CONNECT (or in the first AUTH)
//   server-first   r=<client nonce><ours>,s=<salt>,i=<iterations>  AUTH 0x18
//   client-final   c=<base64 of the gs2-header>,r=<both>,p=<proof> AUTH 0x18
//   server-final   v=<signature>                                   CONNACK or AUTH 0x00
//
// Hides whether a user exists: one that does not gets a salt that is the same each time, and fails
// at the end, after the same steps, like one whose password was wrong.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  EnhancedAuth,
  EnhancedAuthExchange,
  EnhancedAuthRequest,
  EnhancedAuthStep,
} from './enhanced-auth.ts';
import type { Principal } from './auth-provider.ts';
import { hashed, keyed, scramKeyBytes, type ScramHash, type ScramKeys } from './scram-keys.ts';

/** Users and their SCRAM keys. */
export interface ScramUsers {
  scramKeys(user: string, hash: ScramHash): ScramKeys | undefined;
  /** Principal of a user that has keys. */
  principal(user: string): Principal | undefined;
  /**
   * Salt and iterations for an unknown user: of the same form as those of real users, and constant
   * for as long.
   */
  scramOfNobody(user: string, hash: ScramHash): Pick<ScramKeys, 'salt' | 'iterations'>;
}

/** A message longer than this is refused before it is looked at. */
const messageBytesMax = 4096;
const nonceBytes = 18;
const failure: EnhancedAuthStep = { kind: 'failure', reasonCode: ReasonCode.notAuthorized };

const methods: Readonly<Record<ScramHash, string>> = {
  sha256: 'SCRAM-SHA-256',
  sha512: 'SCRAM-SHA-512',
};
/** Text of a proof: base64 of as many bytes as the hash has. */
const proofs: Readonly<Record<ScramHash, RegExp>> = {
  sha256: /^[A-Za-z0-9+/]{43}=$/,
  sha512: /^[A-Za-z0-9+/]{86}==$/,
};

export class Scram implements EnhancedAuth {
  readonly method: string;
  readonly source = 'password';
  readonly #hash: ScramHash;
  readonly #users: ScramUsers;
  readonly #nonce: () => string;

  constructor(
    hash: ScramHash,
    users: ScramUsers,
    nonce: () => string = () => randomBytes(nonceBytes).toString('base64'),
  ) {
    this.method = methods[hash];
    this.#hash = hash;
    this.#users = users;
    this.#nonce = nonce;
  }

  start(_request: EnhancedAuthRequest): EnhancedAuthExchange {
    return new ScramExchange(this.#hash, this.#users, this.#nonce());
  }
}

interface Challenge {
  readonly keys: ScramKeys;
  /** undefined: the user is not known. */
  readonly principal: Principal | undefined;
  readonly header: string;
  readonly nonce: string;
  /** client-first-bare "," server-first: what both sides sign, but for the last part. */
  readonly transcript: string;
}

class ScramExchange implements EnhancedAuthExchange {
  readonly #hash: ScramHash;
  readonly #users: ScramUsers;
  readonly #nonce: string;
  /** User name that the client claims. */
  user: string | undefined = undefined;
  #challenge: Challenge | undefined = undefined;
  #over = false;

  constructor(hash: ScramHash, users: ScramUsers, nonce: string) {
    this.#hash = hash;
    this.#users = users;
    this.#nonce = nonce;
  }

  async step(authenticationData: Buffer | undefined): Promise<EnhancedAuthStep> {
    if (this.#over) return failure;
    const message = textOf(authenticationData);
    const answer =
      message === undefined
        ? failure
        : this.#challenge === undefined
          ? this.#first(message)
          : this.#final(this.#challenge, message);
    this.#over = answer.kind !== 'continue';
    return answer;
  }

  #first(message: string): EnhancedAuthStep {
    const first = parseClientFirst(message);
    if (first === undefined) return failure;
    this.user = first.user;
    const found = this.#users.scramKeys(first.user, this.#hash);
    const keys = found ?? fakeKeys(first.user, this.#hash, this.#users);
    const nonce = first.nonce + this.#nonce;
    const answer = `r=${nonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`;
    this.#challenge = {
      keys,
      principal: found && this.#users.principal(first.user),
      header: first.header,
      nonce,
      transcript: `${first.bare},${answer}`,
    };
    return { kind: 'continue', authenticationData: Buffer.from(answer) };
  }

  #final(challenge: Challenge, message: string): EnhancedAuthStep {
    const hash = this.#hash;
    const final = parseClientFinal(message, proofs[hash]);
    if (final === undefined) return failure;
    const header = Buffer.from(challenge.header).toString('base64');
    if (final.binding !== header || !sameText(final.nonce, challenge.nonce)) return failure;
    const transcript = `${challenge.transcript},${final.withoutProof}`;
    const { storedKey, serverKey } = challenge.keys;
    const signature = keyed(hash, storedKey, transcript);
    const clientKey = Buffer.from(final.proof.map((byte, index) => byte ^ signature[index]!));
    const proven = timingSafeEqual(hashed(hash, clientKey), storedKey);
    const verifier = keyed(hash, serverKey, transcript).toString('base64');
    if (!proven || challenge.principal === undefined) return failure;
    return {
      kind: 'success',
      principal: challenge.principal,
      authenticationData: Buffer.from(`v=${verifier}`),
    };
  }
}

interface ClientFirst {
  readonly header: string;
  readonly bare: string;
  readonly user: string;
  readonly nonce: string;
}

/**
 * gs2-header = ("n" / "y" / "p=" name) "," ["a=" authzid] ","; bare = "n=" user "," "r=" nonce [","
 * extensions]. `p=` asks for a channel binding, `m=` for an extension that must be understood: both
 * are refused. With `y` the client could bind and believes that we cannot, which is so.
 */
function parseClientFirst(message: string): ClientFirst | undefined {
  const match = /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([!-+\--~]+)(?:,.*)?)$/su.exec(message);
  if (match === null) return undefined;
  const [, header, authorisedAs, bare, name, nonce] = match;
  const user = unescapeName(name!);
  if (user === undefined) return undefined;
  // To act for somebody else is not offered.
  if (authorisedAs !== undefined && authorisedAs !== name) return undefined;
  return { header: header!, bare: bare!, user, nonce: nonce! };
}

interface ClientFinal {
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Buffer;
  readonly withoutProof: string;
}

function parseClientFinal(message: string, proofPattern: RegExp): ClientFinal | undefined {
  const match =
    /^(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/=]+)$/su.exec(
      message,
    );
  if (match === null) return undefined;
  const [, withoutProof, binding, nonce, encoded] = match;
  if (!proofPattern.test(encoded!)) return undefined;
  const proof = Buffer.from(encoded!, 'base64');
  return { binding: binding!, nonce: nonce!, proof, withoutProof: withoutProof! };
}

/** `=2C` is a comma and `=3D` an equals sign; no other `=` may be there. */
function unescapeName(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name) || name.includes('\0')) return undefined;
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

function fakeKeys(user: string, hash: ScramHash, users: ScramUsers): ScramKeys {
  return {
    ...users.scramOfNobody(user, hash),
    storedKey: randomBytes(scramKeyBytes[hash]),
    serverKey: randomBytes(scramKeyBytes[hash]),
  };
}

function textOf(bytes: Buffer | undefined): string | undefined {
  if (bytes === undefined || bytes.length > messageBytesMax) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function sameText(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}
