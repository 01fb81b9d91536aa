import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

/**
 * Lets clients in without a verified name; belongs at the end of a chain. `ignoreNames`: also those that give a user name,
 * for a broker that could not check it. The name is then not believed, so that no rule for that user applies.
 */
export class Anonymous implements Authenticator {
  readonly #ignoreNames: boolean;

  constructor(ignoreNames: boolean) {
    this.#ignoreNames = ignoreNames;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    if (request.userName !== undefined && !this.#ignoreNames) return { kind: 'pass' };
    return { kind: 'allow', principal: { user: undefined } };
  }
}
