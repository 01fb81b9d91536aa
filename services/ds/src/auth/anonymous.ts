import { isLoopback } from '@lmqtt/common/loopback';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

/**
 * Lets clients in without a verified name; belongs at the end of a chain. `ignoreNames`: also those
 * that give a user name, for a broker that could not check it. The name is then not believed, so
 * that no rule for that user applies. `from`: `loopback` lets in only who connects from the machine
 * of its cs, and `nobody` only who comes by a listener that lists `anonymous` among its sources.
 */
export class Anonymous implements Authenticator {
  readonly #ignoreNames: boolean;
  readonly #from: 'anywhere' | 'loopback' | 'nobody';

  constructor(ignoreNames: boolean, from: 'anywhere' | 'loopback' | 'nobody' = 'anywhere') {
    this.#ignoreNames = ignoreNames;
    this.#from = from;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const listed = request.peer.authentication?.split(',');
    if (listed === undefined ? this.#from === 'nobody' : !listed.includes('anonymous'))
      return { kind: 'pass' };
    const ignoresNames = listed === undefined ? this.#ignoreNames : listed.length === 1;
    if (request.userName !== undefined && !ignoresNames) return { kind: 'pass' };
    if (listed === undefined && this.#from === 'loopback' && !isLoopback(request.peer.address))
      return { kind: 'pass' };
    return { kind: 'allow', principal: { user: undefined } };
  }
}
