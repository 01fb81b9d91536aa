// Several authenticators and several sets of rules as one provider. The first authenticator that does not pass decides, and
// an action is judged by the rules that came with the identity, else allowed where every set of rules allows it; with no rules
// at all, everything is.

import type { ClientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  AccessAction,
  AccessControl,
  AuthDecision,
  Authenticator,
  AuthProvider,
  AuthRequest,
  Principal,
} from './auth-provider.ts';
import { verdictOf, withoutShare } from './rule-verdict.ts';

export class AuthChain implements AuthProvider {
  readonly #authenticators: readonly Authenticator[];
  readonly #rules: readonly AccessControl[];

  constructor(authenticators: readonly Authenticator[], rules: readonly AccessControl[]) {
    this.#authenticators = authenticators;
    this.#rules = rules;
  }

  get version(): number {
    // Each only grows, so the sum changes when any of them does.
    let sum = 0;
    for (const rules of this.#rules) sum += rules.version;
    return sum;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    for (const authenticator of this.#authenticators) {
      const decision = await authenticator.authenticate(request);
      if (decision.kind !== 'pass') return decision;
    }
    const named = request.userName !== undefined;
    return {
      kind: 'deny',
      reasonCode: named ? ReasonCode.badUserNameOrPassword : ReasonCode.notAuthorized,
    };
  }

  authorise(
    principal: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topicOrFilter: string,
  ): boolean {
    const asked = withoutShare(action, topicOrFilter);
    if (asked === undefined) return false;
    const own = principal.rules && verdictOf(principal.rules, action, asked);
    if (own !== undefined) return own;
    return this.#rules.every((rules) =>
      rules.authorise(principal, clientId, address, action, asked),
    );
  }
}
