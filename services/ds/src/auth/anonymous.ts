import { isLoopback } from '@lmqtt/common/loopback';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

/**
 * Lets clients in without a verified name; belongs at the end of a chain. `ignoreNames`: also those
 * that give a user name, for a broker that could not check it. The name is then not believed, so
 * that no rule for that user applies. `from`: `loopback` lets in only who connects from the machine
 * of its cs.
 */
export class Anonymous implements Authenticator {
  readonly #ignoreNames: boolean;
  readonly #from: 'anywhere' | 'loopback';

  constructor(ignoreNames: boolean, from: 'anywhere' | 'loopback' = 'anywhere') {
    this.#ignoreNames = ignoreNames;
    this.#from = from;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    if (request.userName !== undefined && !this.#ignoreNames) return { kind: 'pass' };
    if (this.#from === 'loopback' && !isLoopback(request.peer.address)) return { kind: 'pass' };
    return { kind: 'allow', principal: { user: undefined } };
  }
}
