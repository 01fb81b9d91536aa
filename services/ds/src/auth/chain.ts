// Several authenticators and a set of rules as one provider. The first authenticator that does not pass decides, and an action
// is judged by the rules that came with the identity, else by the set; with no rules at all, everything is allowed. Below
// `$SYS/` nobody publishes, but, where that is wanted, bridges their state.

import type { ClientId } from '@lmqtt/common/ids';
import { isOfMount } from '@lmqtt/common/mount';
import { addresseeOf } from '@lmqtt/common/p2p';
import { type ReadRules, readableBy } from '@lmqtt/common/read-rights';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isBridgeState } from '@lmqtt/common/topic';
import type {
  AccessAction,
  Accounts,
  AccessControl,
  AuthDecision,
  Authenticator,
  AuthProvider,
  AuthRequest,
  Principal,
} from './auth-provider.ts';
import { publishVerdict, readRulesOf, withoutShare } from './rule-verdict.ts';

interface ChainParts {
  readonly rules?: AccessControl | undefined;
  readonly accounts?: Accounts | undefined;
  /** Says no beside all rules. */
  readonly module?: Pick<AccessControl, 'authorise'> | undefined;
  /** Whether bridges publish their state. */
  readonly bridgeState?: boolean;
  /** Whether topics may address clients (P2P). */
  readonly p2p?: boolean;
}

export class AuthChain implements AuthProvider {
  readonly #authenticators: readonly Authenticator[];
  readonly #rules: AccessControl | undefined;
  readonly #bridgeState: boolean;
  readonly #p2p: boolean;
  readonly #accounts: Accounts | undefined;
  readonly #module: ChainParts['module'];

  constructor(authenticators: readonly Authenticator[], parts: ChainParts = {}) {
    this.#authenticators = authenticators;
    this.#rules = parts.rules;
    this.#accounts = parts.accounts;
    this.#module = parts.module;
    this.#bridgeState = parts.bridgeState ?? false;
    this.#p2p = parts.p2p ?? false;
  }

  get version(): number {
    return this.#rules?.version ?? 0;
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
    if (action === 'publish' && topicOrFilter.startsWith('$SYS/')) {
      if (!this.#bridgeState || !isBridgeState(topicOrFilter)) return false;
    }
    const asked = withoutShare(action, topicOrFilter);
    if (asked === undefined || !this.admits(principal, clientId, address, action, asked))
      return false;
    if (action === 'subscribe') {
      const rules = this.reading(principal, clientId, address);
      return rules === undefined || readableBy(rules, asked) !== 'nothing';
    }
    const { mount } = principal;
    if (mount !== undefined && !isOfMount(mount, asked)) return false;
    if (mount !== undefined && this.#p2p && addressesClient(mount, asked)) return false;
    const own = principal.rules && publishVerdict(principal.rules, asked);
    if (own !== undefined) return own;
    if (principal.rulesOnly === true) return false;
    return this.#rules?.authorise(principal, clientId, address, action, asked) ?? true;
  }

  admits(
    principal: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topicOrFilter: string,
  ): boolean {
    if (this.#module === undefined) return true;
    const asked = withoutShare(action, topicOrFilter);
    if (asked === undefined) return false;
    return this.#module.authorise(principal, clientId, address, action, asked);
  }

  reading(principal: Principal, clientId: ClientId, address: string): ReadRules | undefined {
    const all = this.#reading(principal, clientId, address);
    if (principal.mount === undefined) return all;
    return { rules: [], otherwise: true, ...all, within: principal.mount };
  }

  #reading(principal: Principal, clientId: ClientId, address: string): ReadRules | undefined {
    const common = this.#rules?.reading(principal, clientId, address);
    if (principal.rules === undefined) return common;
    if (principal.rulesOnly === true)
      return { rules: readRulesOf(principal.rules), otherwise: false };
    const rules = [...readRulesOf(principal.rules), ...(common?.rules ?? [])];
    return { rules, otherwise: common?.otherwise ?? true };
  }

  onChange(listener: () => void): void {
    this.#rules?.onChange(listener);
    this.#accounts?.onChange(listener);
  }

  isGone({ user, account }: Principal): boolean {
    if (this.#accounts === undefined || user === undefined || account === undefined) return false;
    return !this.#accounts.has(user, account);
  }
}

/**
 * Whether a topic of a namespace addresses a client, by the name that its publisher sees or by the
 * full one: client identifiers have no namespace.
 */
function addressesClient(mount: string, topic: string): boolean {
  return addresseeOf(topic) !== undefined || addresseeOf(topic.slice(mount.length)) !== undefined;
}
