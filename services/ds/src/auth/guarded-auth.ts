// Authentication whose failures are counted: who fails too often is refused with 0x89 before
// anything is checked, and late failures are answered late (auth-failures.ts). Right or wrong,
// known user or not, password or SCRAM: all count alike.

import type { AuthSource } from '@lmqtt/common/auth-sources';
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';
import type { AuthFailureLimit, AuthFailures, Claimant } from './auth-failures.ts';
import type {
  EnhancedAuth,
  EnhancedAuthExchange,
  EnhancedAuthRequest,
  EnhancedAuthStep,
} from './enhanced-auth.ts';

export interface AuthGuard {
  readonly failures: AuthFailures;
  readonly refused: (limit: AuthFailureLimit, claimant: Claimant) => void;
}

const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
const busyStep: EnhancedAuthStep = { kind: 'failure', reasonCode: ReasonCode.serverBusy };

/** Over authenticators that know clients by a user name; one without a name is passed on. */
export class GuardedAuth implements Authenticator {
  readonly #inner: Authenticator;
  readonly #guard: AuthGuard;

  constructor(inner: Authenticator, guard: AuthGuard) {
    this.#inner = inner;
    this.#guard = guard;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { userName, clientId, peer } = request;
    if (userName === undefined) return { kind: 'pass' };
    const claimant = { address: peer.address, user: userName, clientId };
    if (refuses(this.#guard, claimant)) return busy;
    const { failures } = this.#guard;
    const isWanted = (): boolean =>
      request.isWanted?.() !== false && failures.refuses(claimant) === undefined;
    const decision = await this.#inner.authenticate({ ...request, isWanted });
    if (decision.kind === 'allow') failures.succeeded(claimant);
    if (decision.kind === 'deny' && isFailure(decision.reasonCode)) {
      await late(failures.failed(claimant));
    }
    return decision;
  }
}

export class GuardedEnhancedAuth implements EnhancedAuth {
  readonly method: string;
  readonly source: AuthSource;
  readonly #inner: EnhancedAuth;
  readonly #guard: AuthGuard;

  constructor(inner: EnhancedAuth, guard: AuthGuard) {
    this.method = inner.method;
    this.source = inner.source;
    this.#inner = inner;
    this.#guard = guard;
  }

  start(request: EnhancedAuthRequest): EnhancedAuthExchange {
    return new GuardedExchange(this.#inner.start(request), this.#guard, request);
  }
}

class GuardedExchange implements EnhancedAuthExchange {
  readonly #inner: EnhancedAuthExchange;
  readonly #guard: AuthGuard;
  readonly #request: EnhancedAuthRequest;

  constructor(inner: EnhancedAuthExchange, guard: AuthGuard, request: EnhancedAuthRequest) {
    this.#inner = inner;
    this.#guard = guard;
    this.#request = request;
  }

  get user(): string | undefined {
    return this.#inner.user;
  }

  async step(authenticationData: Buffer | undefined): Promise<EnhancedAuthStep> {
    const answer = await this.#inner.step(authenticationData);
    const { clientId, peer } = this.#request;
    const claimant = { address: peer.address, user: this.user ?? '', clientId };
    // A proof that came too late, or one too many, is not told from a wrong one.
    if (refuses(this.#guard, claimant)) return busyStep;
    const { failures } = this.#guard;
    if (answer.kind === 'success') failures.succeeded(claimant);
    if (answer.kind === 'failure' && isFailure(answer.reasonCode)) {
      await late(failures.failed(claimant));
    }
    return answer;
  }
}

function refuses({ failures, refused }: AuthGuard, claimant: Claimant): boolean {
  const limit = failures.refuses(claimant);
  if (limit !== undefined) refused(limit, claimant);
  return limit !== undefined;
}

/** Whether the refusal counts as a failure. Failures that are no fault of the client's do not. */
function isFailure(reasonCode: number): boolean {
  return reasonCode === ReasonCode.badUserNameOrPassword || reasonCode === ReasonCode.notAuthorized;
}

function late(delayMs: number): Promise<void> | undefined {
  if (delayMs === 0) return undefined;
  return pause(delayMs);
}
