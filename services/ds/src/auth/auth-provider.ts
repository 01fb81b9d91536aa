import type { ClientId } from '@lmqtt/common/ids';
import type { ReadRule, ReadRules } from '@lmqtt/common/read-rights';
import type { ReasonCode } from '@lmqtt/common/reason-code';

/**
 * The identity of a client, and its rights.
 *
 * Promises
 * - `authenticate` judges one CONNECT. It never rejects: a source that cannot be asked is a `deny`
 *   with 0x88 or 0x89. `pass` means "not mine": the next provider is asked. The request's password
 *   is neither kept nor logged.
 * - The same CONNECT costs as much work for a user that is known as for one that is not, and has
 *   the same answer.
 * - One that nobody waits for any more may be answered with 0x89 instead of a check.
 * - `authorise` answers at once and from memory, without side effects. The same question has the
 *   same answer for as long as `version` is the same, so a caller may keep answers beside the
 *   version.
 * - For `subscribe` it says whether any topic that the filter matches may be read. The filter is
 *   given without any `$share/{group}/`, or with it: both have the same answer.
 * - `reading` has the answer for each topic: {@link ReadRules} of the same version.
 * - A listener of `onChange` is called after each change of `version`, and when accounts may be
 *   gone.
 *
 * Where rules come from elsewhere (claims of a token, an HTTP answer, a hash in Redis) they come
 * with the principal, at authentication; that is how `authorise` need not wait.
 */
export interface AuthProvider extends Authenticator, AccessControl {
  /** False: a module of the operator's says no, whatever the rules say. */
  admits(
    principal: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topicOrFilter: string,
  ): boolean;
  /** The account of the principal is no more: its user was removed, whoever has that name now. */
  isGone(principal: Principal): boolean;
}

/** The accounts that exist. A listener of `onChange` is called after an account may have gone. */
export interface Accounts {
  has(user: string, account: string): boolean;
  onChange(listener: () => void): void;
}

export interface Authenticator {
  authenticate(request: AuthRequest): Promise<AuthDecision>;
}

export interface AccessControl {
  /** Changes whenever an answer of `authorise` may have changed. */
  readonly version: number;
  authorise(
    principal: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topicOrFilter: string,
  ): boolean;
  /** Rules by which the client may read; undefined: everything. */
  reading(principal: Principal, clientId: ClientId, address: string): ReadRules | undefined;
  onChange(listener: () => void): void;
}

export type AccessAction = 'publish' | 'subscribe';

export interface AuthRequest {
  readonly clientId: ClientId;
  readonly userName?: string | undefined;
  readonly password?: Buffer | undefined;
  readonly peer: AuthPeer;
  /** 3, 4 or 5. */
  readonly protocolVersion: number;
  /** False: nobody waits for the decision any more, so that no work need be begun for it. */
  readonly isWanted?: (() => boolean) | undefined;
}

export interface AuthPeer {
  readonly address: string;
  /** Subject of the client certificate that was verified. */
  readonly certificateSubject?: string | undefined;
  /** The user name that such a certificate gives, where certificates give names. */
  readonly certificateUser?: string | undefined;
  /** Name of the listener that it came by. */
  readonly listener?: string | undefined;
  /** Sources of users that count there, with commas between them; undefined: all. */
  readonly authentication?: string | undefined;
}

export interface Principal {
  /** A name that was verified; undefined for an anonymous client, whatever name it gave. */
  readonly user: string | undefined;
  /**
   * Which account of that name it is, where accounts may be removed; '': one without a mark. A
   * later user of the name has another one, and nothing of this one's.
   */
  readonly account?: string;
  /**
   * Rules that came with the identity. The first that fits decides; where none fits, the common
   * rules do.
   */
  readonly rules?: readonly PrincipalRule[];
  /** True: the common rules are not asked, and what none of `rules` allows is denied. */
  readonly rulesOnly?: boolean;
  /**
   * Namespace of the client: the prefix of its topics, which its rules and everything else here name
   * in full.
   */
  readonly mount?: string;
  /**
   * End of the identity, milliseconds since 1970: the connection ends then. Absent: it has none.
   */
  readonly expiresAtMs?: number;
}

export interface PrincipalRule extends ReadRule {
  readonly action: AccessAction | 'all';
}

export type AuthDecision =
  | { readonly kind: 'allow'; readonly principal: Principal }
  /** The reason code is for CONNACK in 5.0; the return code of 3.1.1 follows from it. */
  | {
      readonly kind: 'deny';
      readonly reasonCode: ReasonCode;
      /** For the log alone: why, without anything that is secret. */
      readonly reason?: string;
    }
  | { readonly kind: 'pass' };
