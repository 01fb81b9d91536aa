// Tokens (RFC 7519) as identities: in the password or in the user name of a CONNECT, or as the
// method `JWT` of enhanced authentication, by which a client renews it on the open connection.

import { ReasonCode } from '@lmqtt/common/reason-code';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { AuthDecision, Authenticator, AuthRequest, Principal } from '../auth-provider.ts';
import type {
  EnhancedAuth,
  EnhancedAuthExchange,
  EnhancedAuthRequest,
  EnhancedAuthStep,
} from '../enhanced-auth.ts';
import type { Names } from '../filled-filter.ts';
import { identityRules } from '../identity-rules.ts';
import { claimAt, missingClaim, type WantedClaim } from './claims.ts';
import { type JwtKey, type JwtKeys, KeysUnavailable } from './jwt-keys.ts';

interface JwtOptions {
  /** Keys for HS256, HS384 and HS512; a public key never checks one of those. */
  readonly secret: JwtKeys | undefined;
  /** Keys for all other algorithms. */
  readonly publicKeys: readonly JwtKeys[];
  readonly from: 'password' | 'username';
  /** Path of the claim that names the user. */
  readonly userClaim: readonly string[];
  readonly wanted: readonly WantedClaim[];
  /** Path of the claim that has access rules. */
  readonly rulesClaim: readonly string[];
  /** Difference of clocks that is allowed for. */
  readonly toleranceS: number;
}

const secretAlgorithms = ['HS256', 'HS384', 'HS512'];
const publicAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Three parts of base64url, of which the first is a JSON object. */
const tokenPattern = /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/;

type Verdict =
  | { readonly kind: 'allow'; readonly principal: Principal }
  | { readonly kind: 'deny'; readonly isAway: boolean; readonly reason: string };

export class JsonWebToken implements Authenticator, EnhancedAuth {
  readonly method: string = 'JWT';
  readonly source = 'token';
  readonly #options: JwtOptions;

  constructor(options: JwtOptions) {
    this.#options = options;
  }

  /** Passes what has no form of a token. */
  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const isName = this.#options.from === 'username';
    const token = isName ? request.userName : request.password?.toString('latin1');
    if (token === undefined || !tokenPattern.test(token)) return { kind: 'pass' };
    const user = isName ? undefined : request.userName;
    const verdict = await this.#judge(token, { user, clientId: request.clientId });
    if (verdict.kind === 'allow') return verdict;
    const { isAway, reason } = verdict;
    return {
      kind: 'deny',
      reasonCode: isAway ? ReasonCode.serverUnavailable : ReasonCode.badUserNameOrPassword,
      reason,
    };
  }

  start(request: EnhancedAuthRequest): EnhancedAuthExchange {
    const { clientId, userName } = request;
    return new TokenExchange((token) => this.#judge(token, { user: userName, clientId }));
  }

  async #judge(token: string, names: Names): Promise<Verdict> {
    const { userClaim, rulesClaim, wanted } = this.#options;
    const payload = await this.#verified(token);
    if (payload.kind === 'deny') return payload;
    const { claims } = payload;
    const missing = missingClaim(claims, wanted, names);
    if (missing !== undefined) return refusal(`the claim ${missing} of its token does not fit`);
    const user = claimAt(claims, userClaim);
    if (typeof user !== 'string' || user === '')
      return refusal(`its token has no claim ${userClaim.join('.')} with a user name`);
    const principal: Principal = { user };
    const ends = typeof claims.exp === 'number' ? { expiresAtMs: claims.exp * 1000 } : {};
    const claim = claimAt(claims, rulesClaim);
    if (claim === undefined) return { kind: 'allow', principal: { ...principal, ...ends } };
    const rules = identityRules(claim, { user, clientId: names.clientId });
    if (rules === undefined) return refusal('the access rules in its token are not valid');
    return { kind: 'allow', principal: { ...principal, ...rules, ...ends } };
  }

  async #verified(
    token: string,
  ): Promise<{ readonly kind: 'claims'; readonly claims: JWTPayload } | Refusal> {
    try {
      return { kind: 'claims', claims: await this.#payload(token) };
    } catch (error) {
      if (error instanceof KeysUnavailable)
        return { kind: 'deny', isAway: true, reason: 'the keys for its token cannot be read' };
      if (error instanceof errors.JWTExpired) return refusal('its token has expired');
      if (error instanceof errors.JWTClaimValidationFailed)
        return refusal(`the claim ${error.claim} of its token does not fit`);
      if (error instanceof errors.JWSSignatureVerificationFailed)
        return refusal('the signature of its token is wrong');
      return refusal('its token cannot be checked with the keys that are known');
    }
  }

  async #payload(token: string): Promise<JWTPayload> {
    const { secret, publicKeys, toleranceS } = this.#options;
    const [head = ''] = token.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString('utf8')) as { alg?: unknown };
    const isSecret = typeof header.alg === 'string' && secretAlgorithms.includes(header.alg);
    const sources = isSecret ? (secret === undefined ? [] : [secret]) : publicKeys;
    const options = {
      algorithms: isSecret ? secretAlgorithms : publicAlgorithms,
      clockTolerance: toleranceS,
    };
    let problem: unknown = new errors.JWKSNoMatchingKey();
    for (const source of sources) {
      const fitting: JwtKey[] = [];
      const first = async (...asked: Parameters<JwtKeys['find']>): Promise<JwtKey> => {
        fitting.push(...(await source.find(...asked)));
        const key = fitting.shift();
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      };
      try {
        return (await jwtVerify(token, first, options)).payload;
      } catch (error) {
        problem = worse(problem, error);
      }
      for (const key of fitting) {
        try {
          return (await jwtVerify(token, async () => key, options)).payload;
        } catch (error) {
          problem = worse(problem, error);
        }
      }
    }
    throw problem;
  }
}

type Refusal = Extract<Verdict, { kind: 'deny' }>;

function refusal(reason: string): Refusal {
  return { kind: 'deny', isAway: false, reason };
}

/**
 * The more telling one of two failures: a key that fits in all but time before one that does not.
 */
function worse(one: unknown, other: unknown): unknown {
  return weight(other) >= weight(one) ? other : one;
}

function weight(error: unknown): number {
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed)
    return 3;
  if (error instanceof KeysUnavailable) return 2;
  return error instanceof errors.JWSSignatureVerificationFailed ? 1 : 0;
}

class TokenExchange implements EnhancedAuthExchange {
  readonly user = undefined;
  readonly #judge: (token: string) => Promise<Verdict>;

  constructor(judge: (token: string) => Promise<Verdict>) {
    this.#judge = judge;
  }

  /** The client sends the token, and nothing else. */
  async step(authenticationData: Buffer | undefined): Promise<EnhancedAuthStep> {
    const token = authenticationData?.toString('latin1') ?? '';
    const verdict = tokenPattern.test(token) ? await this.#judge(token) : refusal('no token');
    if (verdict.kind === 'allow')
      return { kind: 'success', principal: verdict.principal, authenticationData: undefined };
    const { isAway } = verdict;
    const reasonCode = isAway ? ReasonCode.serverUnavailable : ReasonCode.notAuthorized;
    return { kind: 'failure', reasonCode };
  }
}
